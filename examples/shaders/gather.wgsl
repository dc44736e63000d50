// Gathers the batch: examples in the epoch's order, with their bytes as numbers from 0 to 1. The
// host puts step.wgsl before this text.

override ROWS: u32; // of the batch's buffer
override COLUMNS: u32; // of the batch's buffer
override FEATURES: u32; // bytes of an example, a multiple of 4; further columns are 0

@group(0) @binding(0) var<storage, read> features: array<u32>; // four bytes each
@group(0) @binding(1) var<storage, read> order: array<vec2<u32>>; // example, label
@group(0) @binding(2) var<storage, read_write> batch: array<vec4<f32>>;

@compute @workgroup_size(64)
fn gather(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x / (COLUMNS / 4u);
    let column = id.x % (COLUMNS / 4u);
    if row >= ROWS {
        return;
    }
    var values = vec4(0.0);
    if row < step.rows && 4u * column < FEATURES {
        let example = order[step.first + row].x;
        values = unpack4x8unorm(features[example * (FEATURES / 4u) + column]);
    }
    batch[id.x] = values;
}
