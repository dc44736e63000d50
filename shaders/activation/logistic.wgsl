// The logistic function s. Beyond MAX_EXPONENT, e^z overflows f32 or has few digits.
const MAX_EXPONENT: f32 = 86.0;

fn clamped(z: Float) -> Float {
    return clamp(z, Float(-MAX_EXPONENT), Float(MAX_EXPONENT));
}

// The derivative of x s(z), for any z of up to 88 in magnitude: s(z) (1 + xz s(-z)), where `xz` is
// x times the derivative of z. Neither s(z) nor s(-z) is computed as a difference, which would lose
// digits.
fn weighted_slope(z: Float, xz: Float) -> Float {
    let t = exp(-abs(z));
    let large = 1.0 / (1.0 + t);
    let small = t * large;
    let negative = z < Float(0.0);
    return select(large, small, negative) * (1.0 + xz * select(small, large, negative));
}
