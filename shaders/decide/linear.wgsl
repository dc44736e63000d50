// Consecutive mask indices, beginning in any lane.
fn linear_word(word: u32) -> u32 {
    return dropout_keep_32(params.mask, 32u * word);
}
