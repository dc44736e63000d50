// y = dropout(relu(x w + bias)) with row-major matrices. The host puts the mask functions before
// this text.

struct Params {
    @align(16) mask: DropoutMask,
    rows: u32, // of x and y
    inner: u32, // columns of x, rows of w
    columns: u32, // of w and y; a multiple of 8
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

// A workgroup computes 32 x 64 elements, an invocation 4 x 8. Eight elements of a row share one
// Philox block, so each block is drawn once.
const DEPTH: u32 = 16u;
var<workgroup> x_tile: array<array<f32, DEPTH>, 32>;
var<workgroup> w_tile: array<array<vec4<f32>, 16>, DEPTH>;

@compute @workgroup_size(8, 8)
fn product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let vectors = params.columns / 4u;
    let row = 32u * group.y + 4u * local.y;
    let vector = 16u * group.x + 2u * local.x;
    var sums: array<array<vec4<f32>, 2>, 4>;
    for (var first = 0u; first < params.inner; first += DEPTH) {
        for (var i = invocation; i < 32u * DEPTH; i += 64u) {
            let at = vec2<u32>(32u * group.y + i / DEPTH, first + i % DEPTH);
            let inside = at.x < params.rows && at.y < params.inner;
            x_tile[i / DEPTH][i % DEPTH] = select(0.0, x[at.x * params.inner + at.y], inside);
        }
        for (var i = invocation; i < 16u * DEPTH; i += 64u) {
            let at = vec2<u32>(first + i / 16u, 16u * group.x + i % 16u);
            let inside = at.x < params.inner && at.y < vectors;
            w_tile[i / 16u][i % 16u] = select(vec4(0.0), w[at.x * vectors + at.y], inside);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let left = w_tile[k][2u * local.x];
            let right = w_tile[k][2u * local.x + 1u];
            for (var r = 0u; r < 4u; r++) {
                let factor = x_tile[4u * local.y + r][k];
                sums[r][0] += factor * left;
                sums[r][1] += factor * right;
            }
        }
        workgroupBarrier();
    }
    if vector >= vectors {
        return;
    }
    for (var r = 0u; r < 4u && row + r < params.rows; r++) {
        let at = (row + r) * vectors + vector;
        let keep = keep_8(row + r, 4u * vector);
        y[at] = epilogue(sums[r][0] + bias[vector], keep);
        y[at + 1u] = epilogue(sums[r][1] + bias[vector + 1u], keep >> 4u);
    }
}

// The decisions of eight elements of a row, the first in bit 0. `column` and the mask index of
// element (0, 0) are multiples of 8, so the eight share one block.
fn keep_8(row: u32, column: u32) -> u32 {
    let index = dropout_index(params.mask, vec4(row, column, 0u, 0u), vec4(params.columns, 1u, 0u, 0u));
    return dropout_keep_8(params.mask, vec2((index.x >> 3u) | (index.y << 29u), index.y >> 3u));
}

fn epilogue(sum: vec4<f32>, keep: u32) -> vec4<f32> {
    let z = max(sum, vec4(0.0));
    return vec4(
        dropout_value(params.mask, z.x, (keep & 1u) != 0u),
        dropout_value(params.mask, z.y, (keep & 2u) != 0u),
        dropout_value(params.mask, z.z, (keep & 4u) != 0u),
        dropout_value(params.mask, z.w, (keep & 8u) != 0u),
    );
}
