// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) as x s(z), s the logistic function: the same function with
// one e^z, no cancellation and no tanh, which some drivers make a NaN. Beyond 10 it is x, or as good as 0.
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
