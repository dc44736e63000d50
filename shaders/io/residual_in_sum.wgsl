// A residual in the range of the sum, which may overwrite it.
fn residual_word(index: u32) -> Word {
    if has(HAS_RESIDUAL) {
        return sum[index];
    }
    return Word();
}
