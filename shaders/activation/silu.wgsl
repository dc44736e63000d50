// x s(x), s the logistic function. The factor is clamped too: from -86 on x s(x) is as good as 0.
fn activate(x: Float) -> Float {
    return max(x, Float(-MAX_EXPONENT)) / (1.0 + exp(-clamped(x)));
}

fn slope(x: Float) -> Float {
    let z = clamped(x);
    return weighted_slope(z, z);
}
