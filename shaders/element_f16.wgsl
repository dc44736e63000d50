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
    // The bias shrinks from 127 to 15; a carry out of the significand adds to the exponent.
    let odd = (magnitude >> Word(13u)) & Word(1u);
    let rounded = (magnitude + odd - Word((112u << 23u) - 0xfffu)) >> Word(13u);
    let normal = min(rounded, Word(0x7c00u));
    // Below 2^-14 results count 2^-24: an exact product, whose ties go to the even integer.
    let subnormal = Word(round(bitcast<Float>(magnitude) * 0x1p24));
    let finite = select(normal, subnormal, magnitude < Word(113u << 23u));
    let nan = magnitude > Word(0x7f800000u);
    return sign | select(finite, Word(0x7e00u), nan);
}
