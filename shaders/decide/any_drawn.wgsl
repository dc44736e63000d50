// Decisions for any layout. All invocations of a dispatch take the same branch.
fn mask_word(word: u32) -> u32 {
    let mode = params.mode & 7u;
    if mode == DECIDE_ALL_KEPT {
        return 0xffffffffu;
    }
    return drawn_word(word, mode);
}
