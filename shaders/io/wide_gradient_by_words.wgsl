// wide_gradient.wgsl for Words of one element. One invocation has both halves of a `u32`, and a
// spare half keeps its content.
fn load(index: u32) -> Word {
    return input[index];
}

fn store(index: u32, value: Word) {
    let shift = 16u * (index % 2u);
    let other = output[index / 2u] & (0xffff0000u >> shift);
    output[index / 2u] = other | (value << shift);
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return (output[index / 2u] >> (16u * (index % 2u))) & 0xffffu;
}
