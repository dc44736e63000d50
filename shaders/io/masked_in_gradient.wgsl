// The gradient after dropout, which overwrites the gradient of the output.
fn masked_word(index: u32) -> Word {
    return gradient[index];
}

fn store_masked(index: u32, value: Word) {
    gradient[index] = value;
}
