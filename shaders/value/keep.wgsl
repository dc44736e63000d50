// Classic dropout in training: kept values keep their bits.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    return select(Word(), bits, keep);
}
