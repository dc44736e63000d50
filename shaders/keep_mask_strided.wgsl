// The packed keep mask [M15] of a strided layout: an invocation makes one word.
@group(0) @binding(0) var<storage, read_write> mask: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn keep_mask_strided(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = 32u * id.x;
    if first >= params.len {
        return;
    }
    var bits = 0u;
    for (var bit = 0u; bit < min(32u, params.len - first); bit++) {
        bits |= u32(keep_index(index_after(first + bit, DIMENSIONS))) << bit;
    }
    mask[id.x] = bits;
}
