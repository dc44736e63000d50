// Nothing is dropped: for the bit copy of a rate of 0 [M11], and for Gaussian noise [M20].
fn mask_word(word: u32) -> u32 {
    return 0xffffffffu;
}

fn keep_of_blocks(a: u32, b: u32, c: u32, d: u32) -> u32 {
    return 0xffffffffu;
}
