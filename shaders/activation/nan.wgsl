// Returns x if it is a NaN. The clamps of an activation would lose it. The test is on bits, since
// WGSL lets an implementation assume that no NaN exists.
fn unless_nan(x: Float, y: Float) -> Float {
    let bits = bitcast<Word>(x);
    let nan = (bits & Word(0x7fffffffu)) > Word(0x7f800000u);
    return bitcast<Float>(select(bitcast<Word>(y), bits, nan));
}

fn activated(x: Float) -> Float {
    return unless_nan(x, activate(x));
}

fn derived(x: Float) -> Float {
    return unless_nan(x, slope(x));
}
