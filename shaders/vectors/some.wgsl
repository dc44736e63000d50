// A bias, a scale or both, each repeated over the elements. A length of 0 says that there is none.

// Numbers of an invocation's first element.
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

// The number of an element in a vector of `len`, without a division where that is 32 or more, as it is where
// words have four elements.
fn number_of(first: u32, element: u32, half: u32, len: u32) -> u32 {
    // A `u32` with two elements asks for each of them, larger words for all of theirs.
    let number = first + (element & 31u) + select(0u, half, LANES == 2u);
    if LANES <= 2u && len < 32u {
        return number % len;
    }
    return select(number, number - len, number >= len);
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
