// Elements of 32 bits: each lane has one.

// Bit l of `keep` is for lane l, which is element `element` + l.
fn dropped_out(word: Word, keep: u32, element: u32) -> Word {
    return value(word, (Word(keep) & LANE_BITS) != Word(), element, 0u);
}
