// Bias, gamma and beta, which follow each other in one buffer. The lower halves of a Word must be
// asked for before the upper ones.
fn biased(x: Float, number: u32, half: u32) -> Float {
    // A Word of more than two elements lies in one repetition of the bias.
    let own = select(number, number_after(number, half % params.bias_len), LANES == 2u);
    return select(x, x + vector_at(own, half, 0u), has(HAS_BIAS));
}

// The position in the bias that is `steps` after `number`. `steps` is below the bias's length.
fn number_after(number: u32, steps: u32) -> u32 {
    let next = number + steps;
    return select(next, next - params.bias_len, next >= params.bias_len);
}

fn gamma_start() -> u32 {
    return select(0u, params.bias_len, has(HAS_BIAS));
}

fn by_gamma(x: Float, column: u32, half: u32) -> Float {
    return x * vector_at(gamma_start() + column, half, 0u);
}

fn with_beta(x: Float, column: u32, half: u32) -> Float {
    if has(RMS) {
        return x;
    }
    return x + vector_at(gamma_start() + params.columns + column, half, 1u);
}
