// Consecutive mask indices. In the mode that keeps all, no decision is computed.
fn mask_word(word: u32) -> u32 {
    if (params.mode & 7u) == DECIDE_ALL_KEPT {
        return 0xffffffffu;
    }
    return linear_word(word);
}
