// max(x, 0), with +0 for -0.
fn activate(x: Float) -> Float {
    return select(Float(0.0), x, is_positive(x));
}

fn slope(x: Float) -> Float {
    return select(Float(0.0), Float(1.0), is_positive(x));
}

// The test is on bits, since an implementation may take a subnormal number for 0 when it compares
// numbers. It compares the bits minus 1. Then +0 fails, and so do all bits above infinity's, which
// are those of negative numbers and NaNs.
fn is_positive(x: Float) -> Keep {
    return bitcast<Word>(x) - Word(1u) < Word(0x7f800000u);
}
