// Consecutive mask indices; none is drawn where all are kept.
fn mask_word(word: u32) -> u32 {
    if (params.mode & 7u) == DECIDE_ALL_KEPT {
        return 0xffffffffu;
    }
    return linear_word(word);
}
