// A residual in a range of its own.
fn residual_word(index: u32) -> Word {
    return residual[index];
}
