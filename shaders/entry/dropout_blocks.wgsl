// Dropout by whole mask blocks: each eight elements in a row have the decisions of one block. An
// invocation processes four blocks that are WORKGROUP_SIZE apart, so that neighbouring invocations
// load neighbouring memory. `len` is a multiple of 8. Forward and backward use the same kernel
// [M14]. On the CPU: src/cpu/dropout.rs.

fn write_block(n: u32, even: Keep, odd: Keep) {
    if n >= params.len / 8u {
        return;
    }
    write_lanes(n, even, odd);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_blocks(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let start = start_of_blocks();
    let a = 4u * WORKGROUP_SIZE * workgroup.x + local;
    if a >= params.len / 8u {
        return;
    }
    let b = a + WORKGROUP_SIZE;
    let c = b + WORKGROUP_SIZE;
    write_two(start, a, b);
    write_two(start, c, c + WORKGROUP_SIZE);
}
