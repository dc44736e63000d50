// x s(1.702 x) with the logistic function s.
fn activate(x: Float) -> Float {
    return max(x, Float(-MAX_EXPONENT)) / (1.0 + exp(-clamped(1.702 * x)));
}

fn slope(x: Float) -> Float {
    let z = clamped(1.702 * x);
    return weighted_slope(z, z);
}
