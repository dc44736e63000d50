// Dropout by mask words [M15], drawn or given: an invocation takes the 32 elements of one. For any
// layout, origin and length. The same map as dropout_blocks.wgsl. Twin: src/cpu/dropout.rs.

fn dropout_word(i: u32, keep: u32) {
    if i < params.len / LANES {
        var word = Word();
        if !SKIP_DROPPED || keep != 0u {
            word = load(i);
        }
        let bits = Word(keep >> ((LANES * i) & 31u));
        store(i, value(word, (bits & LANE_BITS) != Word()));
    }
}

// No loop: software adapters run straight code in half the time.
fn dropout_eight(i: u32, keep: u32) {
    dropout_word(i, keep);
    dropout_word(i + 1u, keep);
    dropout_word(i + 2u, keep);
    dropout_word(i + 3u, keep);
    dropout_word(i + 4u, keep);
    dropout_word(i + 5u, keep);
    dropout_word(i + 6u, keep);
    dropout_word(i + 7u, keep);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_words(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = 32u / LANES * id.x;
    if first >= params.len / LANES {
        return;
    }
    let keep = mask_word(id.x);
    dropout_eight(first, keep);
    if LANES == 1u {
        dropout_eight(first + 8u, keep);
        dropout_eight(first + 16u, keep);
        dropout_eight(first + 24u, keep);
    }
}
