// One range that is read and overwritten, 8 bytes at a time.
fn load_half(index: u32) -> u64 {
    return data[index];
}

fn store_half(index: u32, value: u64) {
    data[index] = value;
}
