// Decisions for any layout or by a packed mask. All invocations of a dispatch take the same branch.
fn mask_word(word: u32) -> u32 {
    let mode = params.mode & 7u;
    if mode == DECIDE_ALL_KEPT {
        return 0xffffffffu;
    }
    if mode == DECIDE_PACKED {
        return side[params.first_word + word];
    }
    return drawn_word(word, mode);
}
