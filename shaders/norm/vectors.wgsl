// Bias, gamma and beta, one behind the other.
fn gamma(column: u32) -> f32 {
    return vectors[select(0u, params.bias_len, has(HAS_BIAS)) + column];
}

fn with_beta(x: f32, column: u32) -> f32 {
    if has(RMS) {
        return x;
    }
    return x + gamma(params.columns + column);
}
