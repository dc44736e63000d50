// GELU: x times the normal distribution function of x. Beyond 13 in magnitude the result is x
// itself, or too small to matter.
const MAX_ERF: f32 = 13.0;

// Half of erfc(|x| / sqrt(2)), where `density` is e^(-x^2/2). The fit has a relative error of
// 1.2e-7 (Press et al., Numerical Recipes, erfcc). The usual polynomial, which is not in an
// exponent, is wrong by 3.5 % at x = -5.
fn upper_tail(magnitude: Float, density: Float) -> Float {
    let t = 1.0 / (1.0 + magnitude * 0.35355339);
    var p = t * 0.17087277 - 0.82215223;
    p = p * t + 1.48851587;
    p = p * t - 1.13520398;
    p = p * t + 0.27886807;
    p = p * t - 0.18628806;
    p = p * t + 0.09678418;
    p = p * t + 0.37409196;
    p = p * t + 1.00002368;
    p = p * t - 1.26551223;
    return 0.5 * t * exp(p) * density;
}

fn activate(x: Float) -> Float {
    let magnitude = min(abs(x), Float(MAX_ERF));
    let tail = upper_tail(magnitude, exp(-0.5 * magnitude * magnitude));
    return max(x, Float(-MAX_ERF)) * select(1.0 - tail, tail, x < Float(0.0));
}

fn slope(x: Float) -> Float {
    let magnitude = min(abs(x), Float(MAX_ERF));
    let density = exp(-0.5 * magnitude * magnitude);
    let lower = upper_tail(magnitude, density) - magnitude * (density * 0.39894228);
    return select(1.0 - lower, lower, x < Float(0.0));
}
