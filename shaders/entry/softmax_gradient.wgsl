// The gradient of the scores before a softmax and a dropout [M26], from the scores or from the
// probabilities. On the CPU: src/cpu/softmax.rs.

// The gradients of probabilities. Those of hidden columns are 0.
fn dropped(grads: Word, element: u32, half: u32, chunk: u32) -> Float {
    let counts = is_kept(element, half, chunk) & !is_hidden(element, half);
    return decode(select(Word(), half_of(grads, half), counts)) * params.mask.keep_scale;
}

// The exponentials of scores, or the stored probabilities (PROBABILITIES).
fn weights(words: Word, element: u32, half: u32) -> Float {
    if has(PROBABILITIES) {
        return decode(select(half_of(words, half), Word(), is_hidden(element, half)));
    }
    return exponential(words, element, half);
}

fn weighed(words: Word, grads: Word, element: u32, half: u32, chunk: u32) -> Sums {
    let x = weights(words, element, half);
    let product = x * dropped(grads, element, half, chunk);
    return both(in_row(x, element, half), in_row(product, element, half));
}

// A Word's part of the sums of weights, and of their products with gradients.
fn weigh(word: u32, chunk: u32) -> Sums {
    let element = LANES * word;
    let words = input_word(word);
    let grads = load(word);
    var own = weighed(words, grads, element, 0u, chunk);
    if has_upper(word) {
        own += weighed(words, grads, element, 1u, chunk);
    }
    return own;
}

// The mean of a row's gradients, weighted by its probabilities.
var<private> grad_mean: Rows;

fn grad_scores(words: Word, grads: Word, element: u32, half: u32, chunk: u32) -> Word {
    let p = weights(words, element, half) * of_row(reciprocal, element, half);
    let rest = dropped(grads, element, half, chunk) - of_row(grad_mean, element, half);
    let grad = p * rest * params.factor;
    // A zero of either sign becomes +0.
    let bits = select(encode(grad), Word(), grad == Float());
    var of_nan = Keep(mark_of(largest, element, half) == NAN);
    if has(PROBABILITIES) {
        of_nan = is_nan(decode(half_of(words, half)));
    }
    return select(select(bits, Word(NAN_BITS), of_nan), Word(), is_hidden(element, half));
}

fn write_gradient(word: u32, chunk: u32) {
    let element = LANES * word;
    let words = input_word(word);
    let grads = load(word);
    var bits = grad_scores(words, grads, element, 0u, chunk);
    if has_upper(word) {
        bits |= grad_scores(words, grads, element, 1u, chunk) << Word(16u);
    } else if LANES == 2u {
        // The spare half after an odd length keeps its content.
        bits |= stored(word) & Word(0xffff0000u);
    }
    store(word, bits);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    begin_masks();
    let words = chunks(workgroup.x);
    if !has(PROBABILITIES) {
        find_largest(local);
    }
    var own = Sums();
    var word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        draw(chunk, local);
        for (; word < end_in(chunk); word += params.lanes) {
            own += weigh(word, chunk);
        }
    }
    let sums = total(own, local);
    set_reciprocal(first_of(sums));
    if has(PROBABILITIES) {
        reciprocal = Rows(1.0);
    }
    grad_mean = second_of(sums) * reciprocal;
    word = own_word;
    let is_drawn = words.y - words.x <= WORKGROUP_SIZE;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        // If the workgroup has only one chunk, its decisions are still in `keep_words`.
        if !is_drawn {
            draw(chunk, local);
        }
        for (; word < end_in(chunk); word += params.lanes) {
            write_gradient(word, chunk);
        }
    }
}
