// max(x, 0), with +0 for -0.
fn activate(x: Float) -> Float {
    return select(Float(0.0), x, is_positive(x));
}

fn slope(x: Float) -> Float {
    return select(Float(0.0), Float(1.0), is_positive(x));
}

// Compares bits less 1, so that +0 and all bits above those of infinity fail, as negative numbers and NaNs have: an
// implementation may take a subnormal number for 0 where it compares numbers.
fn is_positive(x: Float) -> Keep {
    return bitcast<Word>(x) - Word(1u) < Word(0x7f800000u);
}
