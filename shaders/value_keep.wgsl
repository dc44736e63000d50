// Classic scaling in training: kept values are as they were, to the bit.
fn value(bits: Word, keep: Keep) -> Word {
    return select(Word(), bits, keep);
}
