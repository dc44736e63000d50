// A NaN goes through, by its bits: clamps lose it, and WGSL lets an implementation assume that there is none.
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
