// Decisions are read from a packed mask [M15].
fn packed_word(word: u32) -> u32 {
    return mask[params.first_word + word];
}
