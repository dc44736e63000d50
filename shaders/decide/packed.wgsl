// A packed mask from outside [M15] in place of a drawn one.
fn packed_word(word: u32) -> u32 {
    return mask[params.first_word + word];
}
