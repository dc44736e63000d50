// A softmax and a dropout [M26]. A row is read from memory again, since caches may still have it.
// On the CPU: src/cpu/softmax.rs.

fn exponential_in(scores: Word, element: u32, half: u32) -> Rows {
    return in_row(exponential(scores, element, half), element, half);
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
fn scaled(p: Float, factor: f32, element: u32, half: u32) -> Word {
    let has_nan = mark_of(largest, element, half) == NAN;
    let bits = select(encode(p * factor), Word(NAN_BITS), has_nan);
    return select(bits, Word(), is_hidden(element, half));
}

fn probability(scores: Word, element: u32, half: u32) -> Float {
    return exponential(scores, element, half) * of_row(reciprocal, element, half);
}

fn output_bits(p: Float, element: u32, half: u32, chunk: u32) -> Word {
    let bits = scaled(p, params.mask.keep_scale, element, half);
    return select(Word(), bits, is_kept(element, half, chunk));
}

fn write_probabilities(word: u32, lower: Float, upper: Float) {
    let element = LANES * word;
    var bits = scaled(lower, 1.0, element, 0u);
    if has_upper(word) {
        bits |= scaled(upper, 1.0, element, 1u) << Word(16u);
    } else if LANES == 2u {
        bits |= probabilities[word] & Word(0xffff0000u);
    }
    probabilities[word] = bits;
}

fn write_output(word: u32, chunk: u32) {
    let scores = input_word(word);
    let element = LANES * word;
    let lower = probability(scores, element, 0u);
    var upper = Float();
    var bits = output_bits(lower, element, 0u, chunk);
    if has_upper(word) {
        upper = probability(scores, element, 1u);
        bits |= output_bits(upper, element, 1u, chunk) << Word(16u);
    } else if LANES == 2u {
        // The spare half after an odd length keeps its content.
        bits |= stored(word) & Word(0xffff0000u);
    }
    store(word, bits);
    if has(PROBABILITIES) {
        write_probabilities(word, lower, upper);
    }
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
