// Dropout where each eight elements in a row have one block's decisions: an invocation takes
// them, two loads and two stores of 16 bytes. `len` is a multiple of 8. Forward and backward are
// this one map [M14]. Twin: src/cpu/dropout.rs.
@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_blocks(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = id.x;
    if block >= params.len / 8u {
        return;
    }
    let first = load(2u * block);
    let second = load(2u * block + 1u);
    let keep = keep_block(block_number(block));
    store(2u * block, value(first, Keep(keep.even.x, keep.odd.x, keep.even.y, keep.odd.y)));
    store(2u * block + 1u, value(second, Keep(keep.even.z, keep.odd.z, keep.even.w, keep.odd.w)));
}
