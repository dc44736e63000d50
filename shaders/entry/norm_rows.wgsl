// Adds a branch to a residual, and computes the norm of the sum, with dropout of the branch or of
// the norm's output [M25]. A row is read from memory a second time, since caches may still have it.
// On the CPU: src/cpu/normed.rs.

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

// Stores a Word of the sum, and returns what it adds to the sums over its rows.
fn write_sum(word: u32, number: u32, chunk: u32) -> Rows {
    let inputs = load(word);
    let residuals = residual_word(word);
    let element = LANES * word;
    var bits = added(inputs, residuals, number, element, 0u, chunk);
    var sum = in_row(decode(bits), element, 0u);
    if has_upper(word) {
        let upper = added(inputs, residuals, number, element, 1u, chunk);
        sum += in_row(decode(upper), element, 1u);
        bits |= upper << Word(16u);
    } else if LANES == 2u {
        // The spare half after an odd length keeps its content.
        bits |= sum_word(word) & Word(0xffff0000u);
    }
    store_sum(word, bits);
    return sum;
}

fn output_bits(sums: Word, element: u32, half: u32, chunk: u32) -> Word {
    let column = column_of(element, half);
    let y = with_beta(by_gamma(normed(sums, element, half), column, half), column, half);
    if MASK_ON_OUTPUT {
        let kept = encode(y * params.mask.keep_scale);
        return select(Word(), kept, is_kept(element, half, chunk));
    }
    return encode(y);
}

fn write_output(word: u32, chunk: u32) {
    let sums = sum_word(word);
    let element = LANES * word;
    var bits = output_bits(sums, element, 0u, chunk);
    if has_upper(word) {
        bits |= output_bits(sums, element, 1u, chunk) << Word(16u);
    } else if LANES == 2u {
        bits |= stored(word) & Word(0xffff0000u);
    }
    store(word, bits);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    let words = chunks(workgroup.x);
    var sum = Rows();
    var number = (params.bias_start + LANES * own_word) % params.bias_len;
    let step = LANES * params.lanes % params.bias_len;
    var word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        if !MASK_ON_OUTPUT {
            draw(chunk, local);
        }
        for (; word < end_in(chunk); word += params.lanes) {
            sum += write_sum(word, number, chunk);
            number = number_after(number, step);
        }
    }
    find_moments(both(sum, Rows()), local);
    word = own_word;
    for (var chunk = words.x; chunk < words.y; chunk += WORKGROUP_SIZE) {
        if MASK_ON_OUTPUT {
            draw(chunk, local);
        }
        for (; word < end_in(chunk); word += params.lanes) {
            write_output(word, chunk);
        }
    }
}
