// Writes the packed keep mask [M15]: an invocation computes one word. On the CPU: src/cpu/mask.rs.

@compute @workgroup_size(WORKGROUP_SIZE)
fn keep_mask(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = 32u * id.x;
    if first >= params.len {
        return;
    }
    var bits = mask_word(id.x);
    let left = params.len - first;
    if left < 32u {
        bits &= (1u << left) - 1u;
    }
    mask[id.x] = bits;
}
