// Elements of 16 bits, two a `u32`, the first in its lower half.

// Bit l of `keep` is for lane l.
fn dropout(word: Word, keep: u32) -> Word {
    let low = value(word & Word(0xffffu), (Word(keep) & LANE_BITS) != Word());
    let high = value(word >> Word(16u), (Word(keep >> 1u) & LANE_BITS) != Word());
    return low | (high << Word(16u));
}
