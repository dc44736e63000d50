// Elements of 32 bits, one a lane.
fn decode(bits: Word) -> Float {
    return bitcast<Float>(bits);
}

fn encode(number: Float) -> Word {
    return bitcast<Word>(number);
}

fn scale(bits: Word, factor: f32) -> Word {
    return encode(decode(bits) * factor);
}

// Bit l of `keep` is for lane l, which is element `element` + l.
fn dropped_out(word: Word, keep: u32, element: u32) -> Word {
    return value(word, (Word(keep) & LANE_BITS) != Word(), element, 0u);
}
