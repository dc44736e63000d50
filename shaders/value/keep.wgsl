// Classic scaling in training: kept values are as they were, to the bit.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    return select(Word(), bits, keep);
}
