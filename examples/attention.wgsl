// Scaled dot-product attention of each head, with dropout on the probabilities:
//   S = scale Q K^T,  P = softmax(S),  O = dropout(P) V
// S, P and the mask are never written to memory. Backward recomputes P from the logarithm of each
// row's sum, and the mask from the same parameters. M is the mask times its factor, and G the
// gradient of O:
//   dV = (M P)^T G,  dP = M (G V^T),  dS = P (dP - delta),  delta = the sum over a row of P dP = G O
//   dQ = scale dS K,  dK = scale dS^T Q
//
// The host puts the mask functions and `const VECTORS: u32`, the head size divided by 4, before
// this text. It is tested, not tuned: a fast kernel would keep tiles of Q, K, V and G in workgroup
// memory too.

struct Params {
    @align(16) mask: DropoutMask,
    heads: u32, // in all samples
    length: u32, // number of queries of a head, and of keys
    scale: f32,
    causal: u32, // 1: query i sees keys 0 to i
}

// Shape (3, heads, length, head size): Q, K and V, and in `gradients` their gradients.
@group(0) @binding(0) var<storage, read> inputs: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gradients: array<vec4<f32>>;
// Shape (heads, length, head size).
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> grad_output: array<vec4<f32>>;
// For each query: the logarithm of its sum of exponentials, and its delta.
@group(0) @binding(4) var<storage, read_write> rows: array<vec2<f32>>;
@group(0) @binding(5) var<uniform> params: Params;

const Q: u32 = 0u;
const K: u32 = 1u;
const V: u32 = 2u;

// A tile is 32 queries by 32 keys: a mask word for each query.
const TILE: u32 = 32u;
// The invocations that share a row (in `key_gradients`, a column). They divide its keys and its
// features among them.
const LANES: u32 = 8u;
const SHARE: u32 = (VECTORS + LANES - 1u) / LANES;
// Lower than every score, so that exp(LOWEST - score) is 0.
const LOWEST: f32 = -1.0e30;

var<workgroup> keep_words: array<u32, TILE>;
// Two numbers for each pair of query and key in the tile: scores and weights in forward, dS and M P
// in backward.
var<workgroup> pairs: array<array<f32, TILE>, TILE>;
var<workgroup> more_pairs: array<array<f32, TILE>, TILE>;

// Draws each mask word of the tile once. A row of the mask is `length` rounded up to 32, so a word
// begins where a Philox block begins and needs four blocks. If the origin is not a multiple of 8,
// it needs five.
fn draw_tile(head: u32, first_query: u32, first_key: u32, invocation: u32) {
    if invocation < TILE {
        let row_stride = (params.length + 31u) & ~31u;
        let row = head * params.length + first_query + invocation;
        keep_words[invocation] = dropout_keep_32(params.mask, row * row_stride + first_key);
    }
}

// Dropout of x, which belongs to a pair of query and key in the tile.
fn dropped(x: f32, query: u32, key: u32) -> f32 {
    return dropout_value(params.mask, x, ((keep_words[query] >> key) & 1u) != 0u);
}

fn visible(query: u32, key: u32) -> bool {
    return query < params.length && key < params.length && (params.causal == 0u || key <= query);
}

// The index where a row of Q, K or V begins in `inputs`, or that of its gradient in `gradients`.
fn begin_of(matrix: u32, head: u32, row: u32) -> u32 {
    return ((matrix * params.heads + head) * params.length + row) * VECTORS;
}

fn score(head: u32, query: u32, key: u32) -> f32 {
    let q = begin_of(Q, head, query);
    let k = begin_of(K, head, key);
    var sum = 0.0;
    for (var v = 0u; v < VECTORS; v++) {
        sum += dot(inputs[q + v], inputs[k + v]);
    }
    return sum * params.scale;
}

@compute @workgroup_size(LANES, TILE)
fn forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let head = group.y;
    let first_query = TILE * group.x;
    let query = first_query + local.y;
    // The largest score so far, the sum of exp(score - largest), and the sum of exp(score -
    // largest) times the values.
    var largest = LOWEST;
    var sum = 0.0;
    var values: array<vec4<f32>, SHARE>;
    let end = select(params.length, min(first_query + TILE, params.length), params.causal != 0u);
    for (var first_key = 0u; first_key < end; first_key += TILE) {
        draw_tile(head, first_query, first_key, invocation);
        for (var key = local.x; key < TILE; key += LANES) {
            var s = LOWEST;
            if visible(query, first_key + key) {
                s = score(head, query, first_key + key);
            }
            pairs[local.y][key] = s;
        }
        workgroupBarrier();
        let before = largest;
        for (var key = 0u; key < TILE; key++) {
            largest = max(largest, pairs[local.y][key]);
        }
        for (var key = local.x; key < TILE; key += LANES) {
            more_pairs[local.y][key] = exp(pairs[local.y][key] - largest);
        }
        workgroupBarrier();
        let shrink = exp(before - largest);
        sum *= shrink;
        for (var i = 0u; i < SHARE; i++) {
            values[i] *= shrink;
        }
        for (var key = 0u; key < min(TILE, end - first_key); key++) {
            let weight = more_pairs[local.y][key];
            // The sum takes every weight, also those of dropped pairs: dropout follows the softmax.
            sum += weight;
            let kept = dropped(weight, local.y, key);
            let v = begin_of(V, head, first_key + key) + local.x;
            for (var i = 0u; i < SHARE; i++) {
                values[i] += kept * inputs[v + i * LANES];
            }
        }
        workgroupBarrier();
    }
    if query >= params.length {
        return;
    }
    let row = head * params.length + query;
    for (var i = local.x; i < VECTORS; i += LANES) {
        output[row * VECTORS + i] = values[i / LANES] / sum;
    }
    if local.x == 0u {
        rows[row].x = largest + log(sum);
    }
}

@compute @workgroup_size(64)
fn deltas(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.heads * params.length {
        return;
    }
    var delta = 0.0;
    for (var i = id.x * VECTORS; i < (id.x + 1u) * VECTORS; i++) {
        delta += dot(output[i], grad_output[i]);
    }
    rows[id.x].y = delta;
}

// M P and dS of the pair (query, key). In its tile, the pair is (tile_query, tile_key).
fn backward_pair(head: u32, query: u32, key: u32, tile_query: u32, tile_key: u32) -> vec2<f32> {
    if !visible(query, key) {
        return vec2(0.0);
    }
    let row = head * params.length + query;
    let probability = exp(score(head, query, key) - rows[row].x);
    let v = begin_of(V, head, key);
    var sum = 0.0;
    for (var i = 0u; i < VECTORS; i++) {
        sum += dot(grad_output[row * VECTORS + i], inputs[v + i]);
    }
    let grad_probability = dropped(sum, tile_query, tile_key);
    return vec2(
        dropped(probability, tile_query, tile_key),
        probability * (grad_probability - rows[row].y),
    );
}

@compute @workgroup_size(LANES, TILE)
fn query_gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let head = group.y;
    let first_query = TILE * group.x;
    let query = first_query + local.y;
    var gradient: array<vec4<f32>, SHARE>;
    let end = select(params.length, min(first_query + TILE, params.length), params.causal != 0u);
    for (var first_key = 0u; first_key < end; first_key += TILE) {
        draw_tile(head, first_query, first_key, invocation);
        workgroupBarrier();
        for (var key = local.x; key < TILE; key += LANES) {
            let pair = backward_pair(head, query, first_key + key, local.y, key);
            pairs[local.y][key] = pair.y;
        }
        workgroupBarrier();
        for (var key = 0u; key < min(TILE, end - first_key); key++) {
            let k = begin_of(K, head, first_key + key) + local.x;
            for (var i = 0u; i < SHARE; i++) {
                gradient[i] += pairs[local.y][key] * inputs[k + i * LANES];
            }
        }
        workgroupBarrier();
    }
    if query >= params.length {
        return;
    }
    let q = begin_of(Q, head, query);
    for (var i = local.x; i < VECTORS; i += LANES) {
        gradients[q + i] = params.scale * gradient[i / LANES];
    }
}

// The tiles are those of `forward`, column by column, so each query's mask word is the same.
@compute @workgroup_size(LANES, TILE)
fn key_gradients(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let head = group.y;
    let first_key = TILE * group.x;
    let key = first_key + local.y;
    var grad_k: array<vec4<f32>, SHARE>;
    var grad_v: array<vec4<f32>, SHARE>;
    let begin = select(0u, first_key, params.causal != 0u);
    for (var first_query = begin; first_query < params.length; first_query += TILE) {
        draw_tile(head, first_query, first_key, invocation);
        workgroupBarrier();
        for (var query = local.x; query < TILE; query += LANES) {
            let pair = backward_pair(head, first_query + query, key, query, local.y);
            more_pairs[query][local.y] = pair.x;
            pairs[query][local.y] = pair.y;
        }
        workgroupBarrier();
        for (var query = 0u; query < min(TILE, params.length - first_query); query++) {
            let q = begin_of(Q, head, first_query + query) + local.x;
            let g = (head * params.length + first_query + query) * VECTORS + local.x;
            for (var i = 0u; i < SHARE; i++) {
                grad_k[i] += pairs[query][local.y] * inputs[q + i * LANES];
                grad_v[i] += more_pairs[query][local.y] * grad_output[g + i * LANES];
            }
        }
        workgroupBarrier();
    }
    if key >= params.length {
        return;
    }
    let k = begin_of(K, head, key);
    let v = begin_of(V, head, key);
    for (var i = local.x; i < VECTORS; i += LANES) {
        gradients[k + i] = params.scale * grad_k[i / LANES];
        gradients[v + i] = grad_v[i / LANES];
    }
}
