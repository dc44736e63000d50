// One range that is read and overwritten.
fn load(index: u32) -> Word {
    return data[index];
}

fn store(index: u32, value: Word) {
    data[index] = value;
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return data[index];
}
