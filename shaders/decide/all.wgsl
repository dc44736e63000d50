// Nothing is dropped: for the bit copy of a rate of 0 [M11], and for Gaussian noise [M20].
fn mask_word(word: u32) -> u32 {
    return 0xffffffffu;
}
