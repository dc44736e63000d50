// Dropout where each eight elements in a row have one block's decisions: an invocation takes four
// blocks, WORKGROUP_SIZE apart, so that neighbours load neighbouring memory. `len` is a multiple of
// 8. Forward and backward are this one map [M14]. Twin: src/cpu/dropout.rs.

fn dropout_block(n: u32, keep: u32) {
    if n >= params.len / 8u {
        return;
    }
    let i = 8u / LANES * n;
    store(i, dropout(load(i), keep));
    if LANES == 4u {
        store(i + 1u, dropout(load(i + 1u), keep >> 4u));
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_blocks(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let a = 4u * WORKGROUP_SIZE * workgroup.x + local;
    if a >= params.len / 8u {
        return;
    }
    let b = a + WORKGROUP_SIZE;
    let c = b + WORKGROUP_SIZE;
    let d = c + WORKGROUP_SIZE;
    let keep = keep_blocks(block_number(a), block_number(b), block_number(c), block_number(d));
    dropout_block(a, keep);
    dropout_block(b, keep >> 8u);
    dropout_block(c, keep >> 16u);
    dropout_block(d, keep >> 24u);
}
