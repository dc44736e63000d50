// Two buffers, or two ranges of one.
fn load(index: u32) -> Word {
    return input[index];
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return output[index];
}
