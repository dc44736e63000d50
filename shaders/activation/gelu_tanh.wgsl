// GELU by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). It is computed as x s(z) with the
// logistic function s. This is the same function, but has one e^z, no cancellation and no tanh, for
// which some drivers return a NaN. Beyond 10 in magnitude the result is x itself, or too small to
// matter.
const MAX_TANH: f32 = 10.0;
// 2 sqrt(2/pi).
const TANH_FACTOR: f32 = 1.5957691216;
const CUBE: f32 = 0.044715;

fn activate(x: Float) -> Float {
    let c = clamp(x, Float(-MAX_TANH), Float(MAX_TANH));
    let z = TANH_FACTOR * c * (1.0 + CUBE * c * c);
    return max(x, Float(-MAX_TANH)) / (1.0 + exp(-z));
}

fn slope(x: Float) -> Float {
    let c = clamp(x, Float(-MAX_TANH), Float(MAX_TANH));
    let z = TANH_FACTOR * c * (1.0 + CUBE * c * c);
    return weighted_slope(z, TANH_FACTOR * c * (1.0 + 3.0 * CUBE * c * c));
}
