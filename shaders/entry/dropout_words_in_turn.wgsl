// dropout_words.wgsl by a loop, for noise of a strided layout, where each element computes its own
// index. A driver takes seconds to compile straight code of 32 such elements. The number of turns
// is not known when it compiles, since Mesa would otherwise unroll the loop.
@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_words(@builtin(global_invocation_id) id: vec3<u32>) {
    if 32u * id.x >= params.len {
        return;
    }
    let keep = mask_word(id.x);
    let first = 32u / LANES * id.x;
    let end = min(first + 32u / LANES, (params.len + LANES - 1u) / LANES);
    for (var i = first; i < end; i++) {
        write_word(i, keep);
    }
}
