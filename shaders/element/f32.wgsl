// f32: an element's bits are the number's.
fn decode(bits: Word) -> Float {
    return bitcast<Float>(bits);
}

fn encode(number: Float) -> Word {
    return bitcast<Word>(number);
}

fn scale(bits: Word, factor: f32) -> Word {
    return encode(decode(bits) * factor);
}
