// The elements in the lower (0) or upper halves (1) of a `Word` of pairs; of other types all, by 0.
fn half_of(word: Word, half: u32) -> Word {
    return (word >> Word(16u * half)) & Word(ELEMENT_BITS);
}
