// Dropout by mask words [M15], for any layout, origin and length. An invocation processes the 32
// elements of one word, which is computed or read. The map of values is that of
// dropout_blocks.wgsl. On the CPU: src/cpu/dropout.rs.

// There is no loop, since software adapters run straight code in half the time.
fn write_four(i: u32, keep: u32) {
    write_word(i, keep);
    write_word(i + 1u, keep);
    write_word(i + 2u, keep);
    write_word(i + 3u, keep);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_words(@builtin(global_invocation_id) id: vec3<u32>) {
    if 32u * id.x >= params.len {
        return;
    }
    begin(32u * id.x);
    let keep = mask_word(id.x);
    let i = 32u / LANES * id.x;
    write_four(i, keep);
    if LANES <= 4u {
        write_four(i + 4u, keep);
    }
    if LANES <= 2u {
        write_four(i + 8u, keep);
        write_four(i + 12u, keep);
    }
    if LANES == 1u {
        write_four(i + 16u, keep);
        write_four(i + 20u, keep);
        write_four(i + 24u, keep);
        write_four(i + 28u, keep);
    }
}
