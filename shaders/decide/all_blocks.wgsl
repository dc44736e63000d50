// Nothing is dropped: for Gaussian noise by whole mask blocks [M20].
fn start_of_blocks() -> u32 {
    return 0u;
}

fn write_two(start: u32, a: u32, b: u32) {
    write_block(a, Keep(true), Keep(true));
    write_block(b, Keep(true), Keep(true));
}
