// The gate's bias, and behind it the bias of the other factor (up). Each is repeated over the
// elements. A length of 0 means no bias.

// The position in the bias for the invocation's first element.
var<private> first_bias: u32;

// The invocation's elements begin at `element`, a multiple of 32.
fn begin_biases(element: u32) {
    if params.bias_len != 0u {
        first_bias = (params.bias_start + element) % params.bias_len;
    }
}

// `vector` is 0 for the first bias and 1 for the one behind it.
fn plus(x: Float, vector: u32, element: u32, half: u32) -> Float {
    if params.bias_len == 0u {
        return x;
    }
    let number = number_of(first_bias, element, half, params.bias_len);
    return x + vector_at(vector * params.bias_len + number, half, vector);
}

fn biased(x: Float, element: u32, half: u32) -> Float {
    return plus(x, 0u, element, half);
}

fn biased_up(x: Float, element: u32, half: u32) -> Float {
    return plus(x, 1u, element, half);
}
