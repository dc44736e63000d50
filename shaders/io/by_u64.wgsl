// A Word is two `u64`. The file beside this one says where they are.
fn load(index: u32) -> Word {
    let first = load_half(2u * index);
    let second = load_half(2u * index + 1u);
    return Word(u32(first), u32(first >> 32u), u32(second), u32(second >> 32u));
}

fn store(index: u32, value: Word) {
    store_half(2u * index, u64(value.x) | (u64(value.y) << 32u));
    store_half(2u * index + 1u, u64(value.z) | (u64(value.w) << 32u));
}
