// A softmax and a dropout [M26]. What an invocation does not keep of its row is read from memory
// again, since caches may still have it. On the CPU: src/cpu/softmax.rs.

fn find_sum(local: u32) {
    var own = Sums();
    if pair_word(0u) < own_end {
        held.a = exponentials(held.a, pair_word(0u));
        own = pair_sum(own, held.a, pair_word(0u));
    }
    if pair_word(1u) < own_end {
        held.b = exponentials(held.b, pair_word(1u));
        own = pair_sum(own, held.b, pair_word(1u));
    }
    if pair_word(2u) < own_end {
        held.c = exponentials(held.c, pair_word(2u));
        own = pair_sum(own, held.c, pair_word(2u));
    }
    if pair_word(3u) < own_end {
        held.d = exponentials(held.d, pair_word(3u));
        own = pair_sum(own, held.d, pair_word(3u));
    }
    for (var word = pair_word(4u); word < own_end; word += pair_step()) {
        own = pair_sum(own, exponentials(pair_scores(word), word), word);
    }
    set_reciprocal(first_of(total(own, local)));
}

// The bits of probabilities times `factor`.
fn scaled(p: Float, factor: f32, element: u32, half: u32) -> Word {
    var bits = select(encode(p * factor), Word(NAN_BITS), has_nan(element, half));
    if has(CAUSAL) {
        bits = select(bits, Word(), is_hidden(element, half));
    }
    return bits;
}

fn output_bits(p: Float, element: u32, half: u32, chunk: u32) -> Word {
    let bits = scaled(p, params.mask.keep_scale, element, half);
    return select(Word(), bits, is_kept(element, half, chunk));
}

fn write_probabilities(p: Pair, word: u32) {
    let second = second_word(word);
    let first_bits = scaled(p.first, 1.0, LANES * word, 0u);
    let second_bits = scaled(p.second, 1.0, LANES * second, SECOND);
    var bits = joined(first_bits, second_bits);
    if has_spare(word) {
        bits = with_spare(first_bits, probabilities[word]);
    }
    probabilities[word] = bits;
    if !HALVES && has_second(word) {
        probabilities[second] = second_bits;
    }
}

fn write_pair(weights: Pair, word: u32, chunk: u32) {
    let element = LANES * word;
    let second = LANES * second_word(word);
    let p = Pair(
        weights.first * of_row(reciprocal, element, 0u),
        weights.second * of_row(reciprocal, second, SECOND),
    );
    store_pair(
        word,
        output_bits(p.first, element, 0u, chunk),
        output_bits(p.second, second, SECOND, chunk),
    );
    if has(PROBABILITIES) {
        write_probabilities(p, word);
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    begin_masks();
    let elements = elements_of(workgroup.x);
    draw(elements.x, elements.y, local);
    find_largest(local);
    find_sum(local);
    write_held(elements.x);
    var word = pair_word(4u);
    for (var chunk = elements.x; chunk < elements.y; chunk += CHUNK) {
        if chunk > elements.x {
            draw(chunk, elements.y, local);
        }
        for (; word < end_in(chunk); word += pair_step()) {
            write_pair(exponentials(pair_scores(word), word), word, chunk);
        }
    }
}
