// x s(x) with the logistic function s. The factor x is clamped too, since below -86 the result is
// too small to matter.
fn activate(x: Float) -> Float {
    return max(x, Float(-MAX_EXPONENT)) / (1.0 + exp(-clamped(x)));
}

fn slope(x: Float) -> Float {
    let z = clamped(x);
    return weighted_slope(z, z);
}
