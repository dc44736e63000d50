// bf16: the upper half of an f32.
fn decode(bits: Word) -> Float {
    return bitcast<Float>(bits << Word(16u));
}

// Rounds to nearest even [M11]. An overflow carries into the exponent, which gives infinity.
fn encode(number: Float) -> Word {
    let bits = bitcast<Word>(number);
    let rounded = bits + Word(0x7fffu) + ((bits >> Word(16u)) & Word(1u));
    let nan = (bits & Word(0x7fffffffu)) > Word(0x7f800000u);
    return select(rounded, bits | Word(0x400000u), nan) >> Word(16u);
}

fn scale(bits: Word, factor: f32) -> Word {
    return encode(decode(bits) * factor);
}
