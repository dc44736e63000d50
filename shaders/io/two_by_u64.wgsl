// Two buffers, or two ranges of one, 8 bytes at a time.
fn load(index: u32) -> Word {
    let first = input[2u * index];
    let second = input[2u * index + 1u];
    return Word(u32(first), u32(first >> 32u), u32(second), u32(second >> 32u));
}

fn store(index: u32, value: Word) {
    store_half(2u * index, u64(value.x) | (u64(value.y) << 32u));
    store_half(2u * index + 1u, u64(value.z) | (u64(value.w) << 32u));
}

fn store_half(index: u32, value: u64) {
    output[index] = value;
}
