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

fn weighed(grads: Word, sum: Float, element: u32, half: u32) -> Sums {
    let grad = grad_normed(grads, element, half);
    let product = grad * (sum - of_row(mean, element, half));
    return both(in_row(grad, element, half), in_row(product, element, half));
}

// The bits of a pair's gradients of the output.
fn grad_words(word: u32) -> Words {
    let first = load(word);
    if HALVES {
        return Words(first, first);
    }
    return Words(first, load(second_word(word)));
}

fn masked_words(word: u32) -> Words {
    let first = masked_word(word);
    if HALVES {
        return Words(first, first);
    }
    return Words(first, masked_word(second_word(word)));
}

fn store_masked_pair(word: u32, first: Word, second: Word) {
    var bits = joined(first, second);
    if has_spare(word) {
        bits = with_spare(first, masked_word(word));
    }
    store_masked(word, bits);
    if !HALVES && has_second(word) {
        store_masked(second_word(word), second);
    }
}

// An invocation's share of the sums over its rows.
struct Parts {
    // Differences from the mean, and their squares.
    centered: Sums,
    // Gradients of normed numbers, and their products with the differences from the mean.
    weighed: Sums,
}

fn weigh(own: Parts, sums: Pair, word: u32, chunk: u32) -> Parts {
    let element = LANES * word;
    let second = LANES * second_word(word);
    var grads = grad_words(word);
    if MASK_ON_OUTPUT {
        let first_bits = dropped(half_of(grads.first, 0u), element, 0u, chunk);
        let second_bits = dropped(half_of(grads.second, SECOND), second, SECOND, chunk);
        store_masked_pair(word, first_bits, second_bits);
        grads = Words(first_bits, second_bits << Word(16u * SECOND));
    }
    let first_part = weighed(grads.first, sums.first, element, 0u);
    var second_part = Sums();
    if has_second(word) {
        second_part = weighed(grads.second, sums.second, second, SECOND);
    }
    return Parts(
        add_centered(own.centered, sums, word),
        plus(own.weighed, first_part, second_part),
    );
}

// Means over a row: of the gradients of normed numbers, and of the products of these gradients with
// the normed numbers.
var<private> grad_mean: Rows;
var<private> grad_slope: Rows;

fn grad_sum(grads: Word, sum: Float, before: Word, element: u32, half: u32) -> Word {
    let rest = grad_normed(grads, element, half) - of_row(grad_mean, element, half);
    let along = normed(sum, element, half) * of_row(grad_slope, element, half);
    let grad = of_row(factor, element, half) * (rest - along);
    return encode(select(grad, decode(half_of(before, half)) + grad, has(ACCUMULATE)));
}

fn write_pair(sums: Pair, word: u32, chunk: u32) {
    let element = LANES * word;
    let second = LANES * second_word(word);
    var grads: Words;
    if MASK_ON_OUTPUT {
        grads = masked_words(word);
    } else {
        grads = grad_words(word);
    }
    // The content is loaded only if the gradient is added to it.
    var before = Words();
    if has(ACCUMULATE) {
        before = Words(stored(word), stored(second_word(word)));
    }
    let first_bits = grad_sum(grads.first, sums.first, before.first, element, 0u);
    let second_bits = grad_sum(grads.second, sums.second, before.second, second, SECOND);
    store_pair(word, first_bits, second_bits);
    if !MASK_ON_OUTPUT {
        store_masked_pair(
            word,
            dropped(first_bits, element, 0u, chunk),
            dropped(second_bits, second, SECOND, chunk),
        );
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    let elements = elements_of(workgroup.x);
    draw(elements.x, elements.y, local);
    find_mean(stored_sum(), local);
    var own = Parts();
    if pair_word(0u) < own_end {
        own = weigh(own, held.a, pair_word(0u), elements.x);
    }
    if pair_word(1u) < own_end {
        own = weigh(own, held.b, pair_word(1u), elements.x);
    }
    if pair_word(2u) < own_end {
        own = weigh(own, held.c, pair_word(2u), elements.x);
    }
    if pair_word(3u) < own_end {
        own = weigh(own, held.d, pair_word(3u), elements.x);
    }
    var word = pair_word(4u);
    for (var chunk = elements.x; chunk < elements.y; chunk += CHUNK) {
        if MASK_ON_OUTPUT && chunk > elements.x {
            draw(chunk, elements.y, local);
        }
        for (; word < end_in(chunk); word += pair_step()) {
            own = weigh(own, stored_pair(word), word, chunk);
        }
    }
    set_moments(total(own.centered, local));
    let sums = total(own.weighed, local);
    grad_mean = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));
    // `weigh` used the mean without its correction. Subtracting the correction here avoids reading
    // the row again.
    let products = second_of(sums) - correction * first_of(sums);
    grad_slope = factor * products * params.reciprocal;
    write_held(elements.x);
    word = pair_word(4u);
    for (var chunk = elements.x; chunk < elements.y; chunk += CHUNK) {
        if !MASK_ON_OUTPUT && chunk > elements.x {
            draw(chunk, elements.y, local);
        }
        for (; word < end_in(chunk); word += pair_step()) {
            write_pair(stored_pair(word), word, chunk);
        }
    }
}
