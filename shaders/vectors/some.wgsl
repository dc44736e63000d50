// A bias, a scale or both, each repeated over the elements. A length of 0 means that there is none.

// The positions in the bias and in the scale for an invocation's first element.
var<private> first_bias: u32;
var<private> first_scale: u32;

// The invocation's elements begin at `element`, a multiple of 32.
fn begin(element: u32) {
    if params.bias_len != 0u {
        first_bias = (params.bias_start + element) % params.bias_len;
    }
    if params.scale_len != 0u {
        first_scale = (params.scale_start + element) % params.scale_len;
    }
}

fn biased(x: Float, element: u32, half: u32) -> Float {
    if params.bias_len == 0u {
        return x;
    }
    return x + vector_at(number_of(first_bias, element, half, params.bias_len), half, 0u);
}

fn scaled(x: Float, element: u32, half: u32) -> Float {
    if params.scale_len == 0u {
        return x;
    }
    let number = number_of(first_scale, element, half, params.scale_len);
    return x * vector_at(params.bias_len + number, half, 1u);
}
