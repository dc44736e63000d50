// f16, computed by integers and f32. WGSL lets unpack2x16float flush subnormals and pack2x16float
// round in either direction, so that neither has the same bits on every adapter.

// The number of a finite magnitude.
fn widen(magnitude: Word) -> Float {
    // `biased` changes the exponent's bias from 15 to 127, which is right for normal numbers. It
    // turns a subnormal m 2^-24 into b = 2^-15 (1 + m 2^-10), whose right value is 2 b - 2^-14. For
    // normal numbers 2 b - 2^-14 is not smaller than b, so `min` selects the right one.
    let biased = (magnitude << Word(13u)) + Word(112u << 23u);
    let unbiased = bitcast<Word>(2.0 * bitcast<Float>(biased) - 0x1p-14);
    return bitcast<Float>(min(biased, unbiased));
}

// The magnitude of a number that is +0 or positive, rounded to nearest even [M11].
fn narrow(number: Float) -> Word {
    // 2^16 and more become infinity: as an f16, 2^16 would have infinity's bits.
    let bits = min(bitcast<Word>(number), Word(143u << 23u));
    // `power` is the number's power of two, or 2^-14 if that is larger. In 2^13 times this power,
    // f32's last bit counts as much as f16's last bit in the number. A sum with it is therefore
    // rounded to f16's last bit.
    let power = max(bits & Word(0x7f800000u), Word(113u << 23u));
    let sum = bitcast<Word>(bitcast<Float>(power) * 0x1p13 + bitcast<Float>(bits));
    // The leading 1 of the significand is in `power` too, and adds one to the exponent.
    return (power >> Word(13u)) + (sum - power) - Word((113u << 10u) + (13u << 23u));
}

fn decode(bits: Word) -> Float {
    let sign = (bits & Word(0x8000u)) << Word(16u);
    let magnitude = bits & Word(0x7fffu);
    // Infinity and NaN: f16's largest exponent becomes f32's.
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

// The product with a positive factor, or with 0 if FACTOR_MAY_BE_0. Signs and NaNs stay. Infinities
// stay too, except that 0 makes them NaNs.
fn scale(bits: Word, factor: f32) -> Word {
    let magnitude = bits & Word(0x7fffu);
    let scaled = narrow(widen(magnitude) * factor);
    let quiet = select(0u, 0x200u, FACTOR_MAY_BE_0 && factor == 0.0);
    let special = magnitude | Word(quiet);
    return (bits & Word(0x8000u)) | select(scaled, special, magnitude >= Word(0x7c00u));
}
