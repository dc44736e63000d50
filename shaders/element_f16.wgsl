// f16, by integers: unpack2x16float may flush subnormals, pack2x16float may round as it likes.

fn decode(bits: Word) -> Float {
    let sign = (bits & Word(0x8000u)) << Word(16u);
    let magnitude = bits & Word(0x7fffu);
    // The exponent's bias grows from 15 to 127, that of infinities and NaNs from 31 to 255.
    let rebias = select(Word(112u << 23u), Word(224u << 23u), magnitude >= Word(0x7c00u));
    let normal = (magnitude << Word(13u)) + rebias;
    let subnormal = bitcast<Word>(Float(magnitude) * 0x1p-24);
    return bitcast<Float>(sign | select(normal, subnormal, magnitude < Word(0x400u)));
}

// To nearest even [M11].
fn encode(number: Float) -> Word {
    let bits = bitcast<Word>(number);
    let sign = (bits >> Word(16u)) & Word(0x8000u);
    let magnitude = bits & Word(0x7fffffffu);
    let exponent = magnitude >> Word(23u);
    let significand = (magnitude & Word(0x7fffffu)) | Word(0x800000u);
    // Below 2^-14, exponent 113, results count 2^-24: the significand loses more than 13 bits.
    let clamped = max(exponent, Word(113u));
    let lost = min(clamped - exponent, Word(18u)) + Word(13u);
    let even = (significand >> lost) & Word(1u);
    let rounded = (significand + ((Word(1u) << (lost - Word(1u))) - Word(1u)) + even) >> lost;
    // The leading 1, where there is one, adds to the exponent; so does a carry.
    let finite = rounded + ((clamped - Word(113u)) << Word(10u));
    let nan = magnitude > Word(0x7f800000u);
    return sign | select(min(finite, Word(0x7c00u)), Word(0x7e00u), nan);
}
