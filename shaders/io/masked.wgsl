// The gradient after dropout, in a range of its own.
fn masked_word(index: u32) -> Word {
    return masked[index];
}

fn store_masked(index: u32, value: Word) {
    masked[index] = value;
}
