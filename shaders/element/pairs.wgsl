// Elements of 16 bits: each `u32` has two, the first in its lower half.

// Bit l of `keep` is for element `element` + l.
fn dropped_out(word: Word, keep: u32, element: u32) -> Word {
    let low = value(word & Word(0xffffu), (Word(keep) & LANE_BITS) != Word(), element, 0u);
    let high = value(word >> Word(16u), (Word(keep >> 1u) & LANE_BITS) != Word(), element, 1u);
    return low | (high << Word(16u));
}
