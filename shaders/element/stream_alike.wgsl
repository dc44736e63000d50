// Residual, sum and its gradient have the branch's type.
fn decode_stream(bits: Word) -> Float {
    return decode(bits);
}

fn encode_stream(number: Float) -> Word {
    return encode(number);
}
