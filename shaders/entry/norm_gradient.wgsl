// The gradients of the sum before a norm and of the operand of dropout [M25], which is the branch
// or the norm's output. The mean and the deviation are computed again. On the CPU:
// src/cpu/normed.rs.

// The gradient after dropout. A factor of 1 keeps its bits [M11].
fn dropped(bits: Word, element: u32, half: u32, chunk: u32) -> Word {
    let scaled = scale(bits, params.mask.keep_scale);
    let kept = select(scaled, bits, params.mask.keep_scale == 1.0);
    return select(Word(), kept, is_kept(element, half, chunk));
}

// The gradient of normed numbers, from that of the output.
fn grad_normed(grads: Word, element: u32, half: u32) -> Float {
    return by_gamma(decode(half_of(grads, half)), column_of(element, half), half);
}

fn weighed(grads: Word, sums: Word, element: u32, half: u32) -> Sums {
    let grad = grad_normed(grads, element, half);
    let product = grad * (decode(half_of(sums, half)) - of_row(mean, element, half));
    return both(in_row(grad, element, half), in_row(product, element, half));
}

// A Word's share of the sums over its rows.
struct Parts {
    // Differences from the mean, and their squares.
    centered: Sums,
    // Gradients of normed numbers, and their products with the differences from the mean.
    weighed: Sums,
}

fn weigh(word: u32, chunk: u32) -> Parts {
    let element = LANES * word;
    var grads = load(word);
    if MASK_ON_OUTPUT {
        var bits = dropped(half_of(grads, 0u), element, 0u, chunk);
        if has_upper(word) {
            bits |= dropped(half_of(grads, 1u), element, 1u, chunk) << Word(16u);
        } else if LANES == 2u {
            bits |= masked_word(word) & Word(0xffff0000u);
        }
        store_masked(word, bits);
        grads = bits;
    }
    let sums = sum_word(word);
    var own = weighed(grads, sums, element, 0u);
    if has_upper(word) {
        own += weighed(grads, sums, element, 1u);
    }
    return Parts(centered_word(sums, word), own);
}

// Means over a row: of the gradients of normed numbers, and of the products of these gradients with
// the normed numbers.
var<private> grad_mean: Rows;
var<private> grad_slope: Rows;

fn grad_sum(grads: Word, sums: Word, before: Word, element: u32, half: u32) -> Word {
    let rest = grad_normed(grads, element, half) - of_row(grad_mean, element, half);
    let along = normed(sums, element, half) * of_row(grad_slope, element, half);
    let grad = of_row(factor, element, half) * (rest - along);
    return encode(select(grad, decode(half_of(before, half)) + grad, has(ACCUMULATE)));
}

fn write_gradients(word: u32, chunk: u32) {
    let element = LANES * word;
    var grads = load(word);
    if MASK_ON_OUTPUT {
        grads = masked_word(word);
    }
    let sums = sum_word(word);
    // The content is loaded only if the gradient is added to it.
    var before = Word();
    if has(ACCUMULATE) {
        before = stored(word);
    }
    var bits = grad_sum(grads, sums, before, element, 0u);
    var masked_bits = dropped_on_branch(bits, element, 0u, chunk);
    if has_upper(word) {
        let upper = grad_sum(grads, sums, before, element, 1u);
        bits |= upper << Word(16u);
        masked_bits |= dropped_on_branch(upper, element, 1u, chunk) << Word(16u);
    } else if LANES == 2u {
        // The spare half after an odd length keeps its content.
        bits |= stored(word) & Word(0xffff0000u);
        masked_bits |= masked_word(word) & Word(0xffff0000u);
    }
    store(word, bits);
    if !MASK_ON_OUTPUT {
        store_masked(word, masked_bits);
    }
}

fn dropped_on_branch(bits: Word, element: u32, half: u32, chunk: u32) -> Word {
    if MASK_ON_OUTPUT {
        return Word();
    }
    return dropped(bits, element, half, chunk);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    let words = chunks(workgroup.x);
    find_mean(stored_sum(), local);
    var own = Parts();
    var word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        if MASK_ON_OUTPUT {
            draw(chunk, local);
        }
        for (; word < end_in(chunk); word += params.lanes) {
            let parts = weigh(word, chunk);
            own.centered += parts.centered;
            own.weighed += parts.weighed;
        }
    }
    set_moments(total(own.centered, local));
    let sums = total(own.weighed, local);
    grad_mean = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));
    // `weigh` used the mean without its correction. Subtracting the correction here avoids reading
    // the row again.
    let products = second_of(sums) - correction * first_of(sums);
    grad_slope = factor * products * params.reciprocal;
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
