// The gradient of the scores before a softmax and a dropout [M26], from the scores or from the
// probabilities. On the CPU: src/cpu/softmax.rs.

// The mean of a row's gradients, weighted by its probabilities.
var<private> grad_mean: Rows;

// The gradients of probabilities. Those of hidden columns are 0.
fn dropped(grads: Word, element: u32, half: u32, chunk: u32) -> Float {
    var bits = select(Word(), half_of(grads, half), is_kept(element, half, chunk));
    if has(CAUSAL) {
        bits = select(bits, Word(), is_hidden(element, half));
    }
    return decode(bits) * params.mask.keep_scale;
}

fn pair_grads(word: u32, chunk: u32) -> Pair {
    let second = second_word(word);
    let first_bits = load(word);
    var second_bits = first_bits;
    if !HALVES {
        second_bits = load(second);
    }
    var pair = Pair(dropped(first_bits, LANES * word, 0u, chunk), Float());
    if has_second(word) {
        pair.second = dropped(second_bits, LANES * second, SECOND, chunk);
    }
    return pair;
}

fn probabilities_of(words: Word, element: u32, half: u32) -> Float {
    var bits = half_of(words, half);
    if has(CAUSAL) {
        bits = select(bits, Word(), is_hidden(element, half));
    }
    return decode(bits);
}

// The stored probabilities (FROM_PROBABILITIES), or the exponentials of scores.
fn weights_of(scores: Pair, word: u32) -> Pair {
    if !FROM_PROBABILITIES {
        return exponentials(scores, word);
    }
    let words = input_words(word);
    var pair = Pair(probabilities_of(words.first, LANES * word, 0u), Float());
    if has_second(word) {
        pair.second = probabilities_of(words.second, LANES * second_word(word), SECOND);
    }
    return pair;
}

// The same for a pair that is not held.
fn weights(word: u32) -> Pair {
    var scores = Pair();
    if !FROM_PROBABILITIES {
        scores = pair_scores(word);
    }
    return weights_of(scores, word);
}

// Adds the sum of weights, and that of their products with gradients.
fn weigh(own: Sums, x: Pair, word: u32, chunk: u32) -> Sums {
    let grads = pair_grads(word, chunk);
    let element = LANES * word;
    let second = LANES * second_word(word);
    return plus(
        own,
        both(in_row(x.first, element, 0u), in_row(x.first * grads.first, element, 0u)),
        both(in_row(x.second, second, SECOND), in_row(x.second * grads.second, second, SECOND)),
    );
}

fn grad_scores(x: Float, grads: Float, element: u32, half: u32) -> Word {
    let p = x * of_row(reciprocal, element, half);
    let grad = p * (grads - of_row(grad_mean, element, half)) * params.factor;
    // A zero of either sign becomes +0.
    var bits = select(encode(grad), Word(), grad == Float());
    var of_nan = Keep(has_nan(element, half));
    if FROM_PROBABILITIES {
        of_nan = is_nan(x);
    }
    bits = select(bits, Word(NAN_BITS), of_nan);
    if has(CAUSAL) {
        bits = select(bits, Word(), is_hidden(element, half));
    }
    return bits;
}

fn write_pair(x: Pair, word: u32, chunk: u32) {
    let grads = pair_grads(word, chunk);
    store_pair(
        word,
        grad_scores(x.first, grads.first, LANES * word, 0u),
        grad_scores(x.second, grads.second, LANES * second_word(word), SECOND),
    );
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    begin_masks();
    let elements = elements_of(workgroup.x);
    draw(elements.x, elements.y, local);
    if !FROM_PROBABILITIES {
        find_largest(local);
    }
    var own = Sums();
    if pair_word(0u) < own_end {
        held.a = weights_of(held.a, pair_word(0u));
        own = weigh(own, held.a, pair_word(0u), elements.x);
    }
    if pair_word(1u) < own_end {
        held.b = weights_of(held.b, pair_word(1u));
        own = weigh(own, held.b, pair_word(1u), elements.x);
    }
    if pair_word(2u) < own_end {
        held.c = weights_of(held.c, pair_word(2u));
        own = weigh(own, held.c, pair_word(2u), elements.x);
    }
    if pair_word(3u) < own_end {
        held.d = weights_of(held.d, pair_word(3u));
        own = weigh(own, held.d, pair_word(3u), elements.x);
    }
    var word = pair_word(4u);
    var chunk = elements.x;
    loop {
        for (; word < end_in(chunk); word += pair_step()) {
            own = weigh(own, weights(word), word, chunk);
        }
        if elements.y - chunk <= CHUNK {
            break;
        }
        chunk += CHUNK;
        draw(chunk, elements.y, local);
    }
    let sums = total(own, local);
    set_reciprocal(first_of(sums));
    if FROM_PROBABILITIES {
        reciprocal = Rows(1.0);
    }
    grad_mean = second_of(sums) * reciprocal;
    // Backwards, since the last chunk's decisions are still in `keep_words`.
    loop {
        word = max(own_word + (chunk - elements.x) / LANES, pair_word(4u));
        for (; word < end_in(chunk); word += pair_step()) {
            write_pair(weights(word), word, chunk);
        }
        if chunk == elements.x {
            break;
        }
        chunk -= CHUNK;
        draw(chunk, elements.y, local);
    }
    write_held(elements.x);
}
