// A residual that the sum overwrites.
fn residual_word(index: u32) -> Word {
    return stored(index);
}
