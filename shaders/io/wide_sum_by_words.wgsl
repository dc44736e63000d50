// wide_sum.wgsl for Words of one element.
fn load(index: u32) -> Word {
    return (input[index / 2u] >> (16u * (index % 2u))) & 0xffffu;
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return output[index];
}
