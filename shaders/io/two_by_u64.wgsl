// Two buffers, or two ranges of one, 8 bytes at a time.
fn load_half(index: u32) -> u64 {
    return input[index];
}

fn store_half(index: u32, value: u64) {
    output[index] = value;
}
