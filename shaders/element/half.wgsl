// The elements in the lower (`half` = 0) or upper halves (`half` = 1) of a `Word` of pairs. For
// types of 32 bits, `half` = 0 gives all.
fn half_of(word: Word, half: u32) -> Word {
    return (word >> Word(16u * half)) & Word(ELEMENT_BITS);
}
