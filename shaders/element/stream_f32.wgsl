// Residual, sum and its gradient are f32, while the branch has 16 bits.
fn decode_stream(bits: Word) -> Float {
    return bitcast<Float>(bits);
}

fn encode_stream(number: Float) -> Word {
    return bitcast<Word>(number);
}
