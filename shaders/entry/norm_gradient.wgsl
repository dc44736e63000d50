// The gradients of a sum behind a norm, and of what dropout was on [M25]: the branch, or the norm. Mean and deviation
// are found again. Twin: src/cpu/normed.rs.

// What dropout leaves of a gradient: its bits by a factor of 1 [M11].
fn dropped(bits: u32, element: u32, chunk: u32) -> u32 {
    let scaled = scale(bits, params.mask.keep_scale);
    let kept = select(scaled, bits, params.mask.keep_scale == 1.0);
    return select(0u, kept, is_kept(element, chunk));
}

// The gradient of a normed number, from that of the output.
fn grad_normed(bits: u32, element: u32) -> f32 {
    return decode(bits) * gamma(column_of(element));
}

fn weighed(bits: u32, sum_bits: u32, element: u32) -> Sums {
    let is_second = is_second_row(element);
    let grad = grad_normed(bits, element);
    return both(in_row(grad, is_second), in_row(grad * normed(sum_bits, is_second), is_second));
}

// A Word's part of the sums of gradients, and of their products with normed numbers.
fn weigh(word: u32, chunk: u32) -> Sums {
    let element = LANES * word;
    let has_upper = LANES == 2u && element + 1u < params.len;
    var grads = load(word);
    if MASK_ON_OUTPUT {
        var bits = dropped(grads & ELEMENT_BITS, element, chunk);
        if LANES == 2u {
            var upper = masked_word(word) >> 16u;
            if has_upper {
                upper = dropped(grads >> 16u, element + 1u, chunk);
            }
            bits |= upper << 16u;
        }
        store_masked(word, bits);
        grads = bits;
    }
    let sums = sum_word(word);
    var own = weighed(grads & ELEMENT_BITS, sums & ELEMENT_BITS, element);
    if has_upper {
        own += weighed(grads >> 16u, sums >> 16u, element + 1u);
    }
    return own;
}

// Means over a row of the gradients of normed numbers, and of their products with them.
var<private> grad_mean: Rows;
var<private> grad_slope: Rows;

fn grad_sum(bits: u32, sum_bits: u32, before: u32, element: u32) -> u32 {
    let is_second = is_second_row(element);
    let rest = grad_normed(bits, element) - of_row(grad_mean, is_second);
    let along = normed(sum_bits, is_second) * of_row(grad_slope, is_second);
    let grad = of_row(factor, is_second) * (rest - along);
    return encode(select(grad, decode(before) + grad, has(ACCUMULATE)));
}

fn write_gradients(word: u32, chunk: u32) {
    let element = LANES * word;
    var grads = load(word);
    if MASK_ON_OUTPUT {
        grads = masked_word(word);
    }
    let sums = sum_word(word);
    let before = stored(word);
    var bits = grad_sum(grads & ELEMENT_BITS, sums & ELEMENT_BITS, before & ELEMENT_BITS, element);
    var masked_bits = 0u;
    if !MASK_ON_OUTPUT {
        masked_bits = dropped(bits, element, chunk);
    }
    if LANES == 2u {
        // The spare half behind an odd length stays as it was.
        var upper = before >> 16u;
        var masked_upper = masked_word(word) >> 16u;
        if element + 1u < params.len {
            upper = grad_sum(grads >> 16u, sums >> 16u, upper, element + 1u);
            if !MASK_ON_OUTPUT {
                masked_upper = dropped(upper, element + 1u, chunk);
            }
        }
        bits |= upper << 16u;
        masked_bits |= masked_upper << 16u;
    }
    store(word, bits);
    if !MASK_ON_OUTPUT {
        store_masked(word, masked_bits);
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    let words = chunks(workgroup.x);
    find_moments(stored_sum(), local);
    var own = Sums();
    var word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        if MASK_ON_OUTPUT {
            draw(chunk, local);
        }
        for (; word < end_in(chunk); word += params.lanes) {
            own += weigh(word, chunk);
        }
    }
    let sums = total(own, local);
    grad_mean = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));
    grad_slope = second_of(sums) * params.reciprocal;
    word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        if !MASK_ON_OUTPUT {
            draw(chunk, local);
        }
        for (; word < end_in(chunk); word += params.lanes) {
            write_gradients(word, chunk);
        }
    }
}
