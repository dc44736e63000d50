// dropout_words.wgsl by a loop, for noise whose index is summed up for each element: as straight code of 32
// such elements a driver compiles it for seconds. The number of turns is one that no compiler knows, since
// Mesa would make straight code of it.
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
