// Adds a branch to a residual, and computes the norm of the sum, with dropout of the branch or of
// the norm's output [M25]. What an invocation does not keep of its row is read from memory again,
// since caches may still have it. On the CPU: src/cpu/normed.rs.

// The bits of the sum, as in value/add.wgsl [M23].
fn added(inputs: Word, residuals: Word, number: u32, element: u32, half: u32, chunk: u32) -> Word {
    let scale = select(params.mask.keep_scale, 1.0, MASK_ON_OUTPUT);
    let residual_bits = half_of(residuals, half);
    let branch = biased(decode(half_of(inputs, half)), number, half);
    let sum = encode(decode(residual_bits) + branch * scale);
    if MASK_ON_OUTPUT {
        return sum;
    }
    return select(residual_bits, sum, is_kept(element, half, chunk));
}

// The position in the bias for the invocation's next Word, and its distance from that of the Word
// after it.
var<private> number: u32;
var<private> number_step: u32;

// Stores a pair of sums.
fn write_sum(word: u32, chunk: u32) -> Pair {
    let second = second_word(word);
    let inputs = load(word);
    let residuals = residual_word(word);
    var second_inputs = inputs;
    var second_residuals = residuals;
    var second_number = number;
    if !HALVES {
        second_inputs = load(second);
        second_residuals = residual_word(second);
        second_number = number_after(number, number_step);
    }
    var bits = added(inputs, residuals, number, LANES * word, 0u, chunk);
    var pair = Pair(decode(bits), Float());
    if has_second(word) {
        let second_bits = added(
            second_inputs, second_residuals, second_number, LANES * second, SECOND, chunk);
        pair.second = decode(second_bits);
        if HALVES {
            bits = joined(bits, second_bits);
        } else {
            store_sum(second, second_bits);
        }
    } else if LANES == 2u {
        bits = with_spare(bits, sum_word(word));
    }
    store_sum(word, bits);
    number = number_after(second_number, number_step);
    return pair;
}

fn output_bits(sum: Float, element: u32, half: u32, chunk: u32) -> Word {
    let column = column_of(element, half);
    let y = with_beta(by_gamma(normed(sum, element, half), column, half), column, half);
    if MASK_ON_OUTPUT {
        let kept = encode(y * params.mask.keep_scale);
        return select(Word(), kept, is_kept(element, half, chunk));
    }
    return encode(y);
}

fn write_pair(sums: Pair, word: u32, chunk: u32) {
    let first = output_bits(sums.first, LANES * word, 0u, chunk);
    store_pair(word, first, output_bits(sums.second, LANES * second_word(word), SECOND, chunk));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    let elements = elements_of(workgroup.x);
    draw(elements.x, elements.y, local);
    number = (params.bias_start + LANES * own_word) % params.bias_len;
    number_step = LANES * params.lanes % params.bias_len;
    var own = Sums();
    if pair_word(0u) < own_end {
        held.a = write_sum(pair_word(0u), elements.x);
        own = pair_sum(own, held.a, pair_word(0u));
    }
    if pair_word(1u) < own_end {
        held.b = write_sum(pair_word(1u), elements.x);
        own = pair_sum(own, held.b, pair_word(1u));
    }
    if pair_word(2u) < own_end {
        held.c = write_sum(pair_word(2u), elements.x);
        own = pair_sum(own, held.c, pair_word(2u));
    }
    if pair_word(3u) < own_end {
        held.d = write_sum(pair_word(3u), elements.x);
        own = pair_sum(own, held.d, pair_word(3u));
    }
    var word = pair_word(4u);
    for (var chunk = elements.x; chunk < elements.y; chunk += CHUNK) {
        if !MASK_ON_OUTPUT && chunk > elements.x {
            draw(chunk, elements.y, local);
        }
        for (; word < end_in(chunk); word += pair_step()) {
            own = pair_sum(own, write_sum(word, chunk), word);
        }
    }
    find_moments(own, local);
    write_held(elements.x);
    word = pair_word(4u);
    for (var chunk = elements.x; chunk < elements.y; chunk += CHUNK) {
        if MASK_ON_OUTPUT && chunk > elements.x {
            draw(chunk, elements.y, local);
        }
        for (; word < end_in(chunk); word += pair_step()) {
            write_pair(stored_pair(word), word, chunk);
        }
    }
}
