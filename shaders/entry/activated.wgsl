// An activation before dropout. An invocation processes the 32 elements of one mask word [M15],
// which is computed or read. It loops over them: straight code, as in dropout_words.wgsl, would
// take drivers many times as long to compile, and next to the activation the loop costs nothing. On
// the CPU: src/cpu/activated.rs.
@compute @workgroup_size(WORKGROUP_SIZE)
fn activated_words(@builtin(global_invocation_id) id: vec3<u32>) {
    if 32u * id.x >= params.len {
        return;
    }
    begin(32u * id.x);
    let keep = mask_word(id.x);
    var i = 32u / LANES * id.x;
    let end = i + 32u / LANES;
    // The test is at the end, since llvmpipe executes a loop with its test at the top once more
    // (measured).
    loop {
        write_word(i, keep);
        write_word(i + 1u, keep);
        i += 2u;
        continuing {
            break if i == end;
        }
    }
}
