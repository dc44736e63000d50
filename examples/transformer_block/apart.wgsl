// The passes that the library's operations fuse, as separate kernels for `--unfused`. Kernels over
// rows use a workgroup for each row.

override COLUMNS: u32 = 0; // of a row
override CONTEXT: u32 = 1; // rows of a causal matrix
override FACTOR: f32 = 1.0; // of scores
override ACCUMULATES: bool = false; // add to the content of the destination

const EPSILON = 1e-5;
const LANES = 32u;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> numbers: array<vec4<f32>>; // gamma, then beta
// The destinations: `of_one` after one source, `of_two` after two, `of_three` after three.
@group(0) @binding(1) var<storage, read_write> of_one: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> of_two: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> of_three: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> terms: array<vec4<f32>>;

@compute @workgroup_size(64)
fn add(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&of_two) {
        of_two[id.x] = a[id.x] + b[id.x];
    }
}

// The factor by which gelu (with tanh) multiplies x.
fn gate(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp(-1.5957691216 * x * (1.0 + 0.044715 * x * x)));
}

@compute @workgroup_size(64)
fn gelu(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&of_one) {
        of_one[id.x] = a[id.x] * gate(a[id.x]);
    }
}

// Takes the gradient of the output, and the input.
@compute @workgroup_size(64)
fn gelu_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&of_two) {
        let x = b[id.x];
        let s = gate(x);
        of_two[id.x] = a[id.x] * s * (1.0 + 1.5957691216 * x * (1.0 + 0.134145 * x * x) * (1.0 - s));
    }
}

var<workgroup> partial: array<vec2<f32>, LANES>;

fn total(own: vec2<f32>, lane: u32) -> vec2<f32> {
    workgroupBarrier();
    partial[lane] = own;
    workgroupBarrier();
    var sum = vec2<f32>();
    for (var i = 0u; i < LANES; i++) {
        sum += partial[i];
    }
    return sum;
}

fn sum4(x: vec4<f32>) -> f32 {
    return dot(x, vec4(1.0));
}

// The largest score is subtracted, so exponentials are at most 1. Hidden scores give 0.
@compute @workgroup_size(LANES)
fn causal_softmax(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let words = COLUMNS / 4u;
    let begin = row.x * words;
    let last = row.x % CONTEXT;
    var most = a[begin].x;
    for (var column = 1u; column <= last; column++) {
        most = max(most, a[begin + column / 4u][column % 4u]);
    }
    var own = 0.0;
    for (var i = lane; i < words; i += LANES) {
        let is_seen = 4u * i + vec4(0u, 1u, 2u, 3u) <= vec4(last);
        let e = select(vec4(0.0), exp(FACTOR * (a[begin + i] - most)), is_seen);
        own += sum4(e);
        of_one[begin + i] = e;
    }
    let sum = total(vec2(own), lane).x;
    for (var i = lane; i < words; i += LANES) {
        of_one[begin + i] /= sum;
    }
}

// Takes the probabilities and their gradient.
@compute @workgroup_size(LANES)
fn softmax_gradient(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let end = (row.x + 1u) * (COLUMNS / 4u);
    let first = row.x * (COLUMNS / 4u) + lane;
    var own = 0.0;
    for (var i = first; i < end; i += LANES) {
        own += dot(a[i], b[i]);
    }
    let mean = total(vec2(own), lane).x;
    for (var i = first; i < end; i += LANES) {
        of_two[i] = FACTOR * a[i] * (b[i] - mean);
    }
}

// Mean and 1 / deviation of a row of `a`.
fn moments(first: u32, end: u32, lane: u32) -> vec2<f32> {
    var own = vec2<f32>();
    for (var i = first; i < end; i += LANES) {
        own.x += sum4(a[i]);
    }
    let mean = total(own, lane).x / f32(COLUMNS);
    for (var i = first; i < end; i += LANES) {
        own.y += dot(a[i] - mean, a[i] - mean);
    }
    return vec2(mean, inverseSqrt(total(own, lane).y / f32(COLUMNS) + EPSILON));
}

@compute @workgroup_size(LANES)
fn layer_norm(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let words = COLUMNS / 4u;
    let begin = row.x * words;
    let m = moments(begin + lane, begin + words, lane);
    for (var i = lane; i < words; i += LANES) {
        of_two[begin + i] = (a[begin + i] - m.x) * m.y * b[i] + b[words + i];
    }
}

// Takes the input and the gradient of the output. The column sums of `terms` are the gradient of
// gamma.
@compute @workgroup_size(LANES)
fn norm_gradient(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let words = COLUMNS / 4u;
    let begin = row.x * words;
    let m = moments(begin + lane, begin + words, lane);
    var own = vec2<f32>();
    for (var i = lane; i < words; i += LANES) {
        let g = b[begin + i] * numbers[i];
        own += vec2(sum4(g), dot(g, (a[begin + i] - m.x) * m.y));
    }
    let means = total(own, lane) / f32(COLUMNS);
    for (var i = lane; i < words; i += LANES) {
        let normed = (a[begin + i] - m.x) * m.y;
        let gradient = m.y * (b[begin + i] * numbers[i] - means.x - normed * means.y);
        of_three[begin + i] = gradient + select(vec4(0.0), of_three[begin + i], ACCUMULATES);
        terms[begin + i] = b[begin + i] * normed;
    }
}
