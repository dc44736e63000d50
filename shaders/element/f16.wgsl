// f16, by integers and f32: unpack2x16float may flush subnormals, pack2x16float may round as it likes.

// The number of a magnitude below infinity.
fn widen(magnitude: Word) -> Float {
    // The exponent's bias grows from 15 to 127. A subnormal m 2^-24 becomes 2^-15 (1 + m 2^-10), so its value is twice
    // that less 2^-14. For normal numbers the second form is not smaller, so `min` selects the right one.
    let biased = (magnitude << Word(13u)) + Word(112u << 23u);
    let unbiased = bitcast<Word>(2.0 * bitcast<Float>(biased) - 0x1p-14);
    return bitcast<Float>(min(biased, unbiased));
}

// The magnitude of a number from +0 on, to nearest even [M11].
fn narrow(number: Float) -> Word {
    // 2^16 and more are infinity, whose bits are those that 2^16 would have.
    let bits = min(bitcast<Word>(number), Word(143u << 23u));
    // The last bit of 2^13 times the power of two in a number, 2^-14 at least, counts what f16's
    // last bit does: a sum with it is rounded there.
    let power = max(bits & Word(0x7f800000u), Word(113u << 23u));
    let sum = bitcast<Word>(bitcast<Float>(power) * 0x1p13 + bitcast<Float>(bits));
    // The significand's leading 1 adds one to the exponent.
    return (power >> Word(13u)) + (sum - power) - Word((113u << 10u) + (13u << 23u));
}

fn decode(bits: Word) -> Float {
    let sign = (bits & Word(0x8000u)) << Word(16u);
    let magnitude = bits & Word(0x7fffu);
    // The largest exponent becomes f32's.
    let special = (magnitude << Word(13u)) + Word(224u << 23u);
    let finite = bitcast<Word>(widen(magnitude));
    return bitcast<Float>(sign | select(finite, special, magnitude >= Word(0x7c00u)));
}

fn encode(number: Float) -> Word {
    let sign = (bitcast<Word>(number) >> Word(16u)) & Word(0x8000u);
    let magnitude = bitcast<Word>(number) & Word(0x7fffffffu);
    let finite = narrow(bitcast<Float>(magnitude));
    return sign | select(finite, Word(0x7e00u), magnitude > Word(0x7f800000u));
}

// By a positive factor, or by 0 where FACTOR_MAY_BE_0: signs and NaNs stay, and infinities but for 0.
fn scale(bits: Word, factor: f32) -> Word {
    let magnitude = bits & Word(0x7fffu);
    let scaled = narrow(widen(magnitude) * factor);
    let quiet = select(0u, 0x200u, FACTOR_MAY_BE_0 && factor == 0.0);
    let special = magnitude | Word(quiet);
    return (bits & Word(0x8000u)) | select(scaled, special, magnitude >= Word(0x7c00u));
}
