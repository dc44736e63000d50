// Nothing is dropped: with value_keep.wgsl the bit copy that a rate of 0 is [M11].
fn mask_word(word: u32) -> u32 {
    return 0xffffffffu;
}
