// Dropout by whole mask blocks: each eight elements in a row have the decisions of one block. An
// invocation processes four blocks that are WORKGROUP_SIZE apart, so that neighbouring invocations
// load neighbouring memory. `len` is a multiple of 8. Forward and backward use the same kernel
// [M14]. On the CPU: src/cpu/dropout.rs.

fn write_block(n: u32, keep: u32) {
    if n >= params.len / 8u {
        return;
    }
    let i = 8u / LANES * n;
    store(i, dropped_out(load(i), keep, 8u * n));
    if LANES == 4u {
        store(i + 1u, dropped_out(load(i + 1u), keep >> 4u, 8u * n + 4u));
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
    let keep = keep_of_blocks(a, b, c, d);
    write_block(a, keep);
    write_block(b, keep >> 8u);
    write_block(c, keep >> 16u);
    write_block(d, keep >> 24u);
}
