// The bit copy that a rate of 0 is [M11], eight elements an invocation; `len` is a multiple of 8.
@compute @workgroup_size(WORKGROUP_SIZE)
fn copy_blocks(@builtin(global_invocation_id) id: vec3<u32>) {
    let block = id.x;
    if block >= params.len / 8u {
        return;
    }
    store(2u * block, load(2u * block));
    store(2u * block + 1u, load(2u * block + 1u));
}
