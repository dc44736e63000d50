// An activation before a dropout, by mask words [M15], drawn or given: an invocation takes the 32 elements of
// one. Straight code of all of them, as in dropout_words.wgsl, would take drivers many times as long to
// compile, and the activation hides the loop. On the CPU: src/cpu/activated.rs.
@compute @workgroup_size(WORKGROUP_SIZE)
fn activated_words(@builtin(global_invocation_id) id: vec3<u32>) {
    if 32u * id.x >= params.len {
        return;
    }
    begin(32u * id.x);
    let keep = mask_word(id.x);
    var i = 32u / LANES * id.x;
    let end = i + 32u / LANES;
    // Tested at the end: llvmpipe executes a loop that is tested at the top once more (measured).
    loop {
        write_word(i, keep);
        write_word(i + 1u, keep);
        i += 2u;
        continuing {
            break if i == end;
        }
    }
}
