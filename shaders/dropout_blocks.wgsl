// Dropout where the first element is lane 0 and `len` is a multiple of 8: an invocation takes one
// block, two loads and two stores of 16 bytes. Forward and backward are this one map [M11], [M14].
// Twin: src/cpu/dropout.rs.

// Zeroed on bits: WGSL lets an implementation assume that no NaN exists [M12].
@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_blocks(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = id.x;
    if block >= params.len / 8u {
        return;
    }
    let first = load(2u * block);
    let second = load(2u * block + 1u);
    let keep = keep_block(block_at(block));
    let keep_first = vec4<bool>(keep.even.x, keep.odd.x, keep.even.y, keep.odd.y);
    let keep_second = vec4<bool>(keep.even.z, keep.odd.z, keep.even.w, keep.odd.w);
    store(2u * block, select(Word(), kept_value(first), keep_first));
    store(2u * block + 1u, select(Word(), kept_value(second), keep_second));
}
