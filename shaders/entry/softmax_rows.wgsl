// A softmax and a dropout [M26]. Rows are read again from memory, where caches have them. On the CPU:
// src/cpu/softmax.rs.

fn exponential_in(scores: Word, element: u32, half: u32) -> Rows {
    let order = ordered(scores, element, half);
    return in_row(exponential(order, element, half), element, half);
}

fn find_sum(local: u32) {
    var own = Rows();
    for (var word = own_word; word < own_end; word += params.lanes) {
        let scores = input_word(word);
        let element = LANES * word;
        var part = exponential_in(scores, element, 0u);
        if has_upper(word) {
            part += exponential_in(scores, element, 1u);
        }
        own += part;
    }
    set_reciprocal(first_of(total(both(own, Rows()), local)));
}

// The bits of probabilities times `factor`.
fn scaled(p: Float, factor: f32, order: Word, element: u32, half: u32) -> Word {
    let has_nan = mark_of(largest, element, half) == NAN;
    let bits = select(encode(p * factor), Word(NAN_BITS), has_nan);
    return select(bits, Word(), order == Word(HIDDEN));
}

// The bits of outputs and of probabilities.
struct Results {
    outputs: Word,
    probabilities: Word,
}

fn results(scores: Word, element: u32, half: u32, chunk: u32) -> Results {
    let order = ordered(scores, element, half);
    let p = exponential(order, element, half) * of_row(reciprocal, element, half);
    let outputs = scaled(p, params.mask.keep_scale, order, element, half);
    let kept = select(Word(), outputs, is_kept(element, half, chunk));
    return Results(kept, scaled(p, 1.0, order, element, half));
}

fn write_output(word: u32, chunk: u32) {
    let scores = input_word(word);
    let element = LANES * word;
    var bits = results(scores, element, 0u, chunk);
    if has_upper(word) {
        let upper = results(scores, element, 1u, chunk);
        bits.outputs |= upper.outputs << Word(16u);
        bits.probabilities |= upper.probabilities << Word(16u);
    } else if LANES == 2u {
        // The spare half behind an odd length stays as it was.
        bits.outputs |= stored(word) & Word(0xffff0000u);
        bits.probabilities |= stored_probability(word) & Word(0xffff0000u);
    }
    store(word, bits.outputs);
    store_probability(word, bits.probabilities);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    begin_masks();
    let words = chunks(workgroup.x);
    find_largest(local);
    find_sum(local);
    var word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        draw(chunk, local);
        for (; word < end_in(chunk); word += params.lanes) {
            write_output(word, chunk);
        }
    }
}
