// A residual, a branch, and the norm of their sum; dropout of the branch or of the norm [M25]. Rows are read again
// from memory, where caches have them. Twin: src/cpu/normed.rs.

fn biased(x: f32, number: u32) -> f32 {
    return select(x, x + vectors[number], has(HAS_BIAS));
}

// The bias's number behind `number`, by fewer steps than it has numbers.
fn number_after(number: u32, steps: u32) -> u32 {
    let next = number + steps;
    return select(next, next - params.bias_len, next >= params.bias_len);
}

// As value/add.wgsl [M23].
fn added(bits: u32, residual_bits: u32, number: u32, element: u32, chunk: u32) -> u32 {
    let scale = select(params.mask.keep_scale, 1.0, MASK_ON_OUTPUT);
    let sum = decode(residual_bits) + biased(decode(bits), number) * scale;
    return select(residual_bits, encode(sum), MASK_ON_OUTPUT || is_kept(element, chunk));
}

// Stores a Word of the sum. Gives its part of the rows' sums.
fn write_sum(word: u32, number: u32, chunk: u32) -> Rows {
    let inputs = load(word);
    let residuals = residual_word(word);
    let element = LANES * word;
    var bits = added(inputs & ELEMENT_BITS, residuals & ELEMENT_BITS, number, element, chunk);
    var sum = in_row(decode(bits), is_second_row(element));
    if LANES == 2u {
        // The spare half behind an odd length stays as it was.
        var upper = sum_word(word) >> 16u;
        if element + 1u < params.len {
            let next = number_after(number, 1u % params.bias_len);
            upper = added(inputs >> 16u, residuals >> 16u, next, element + 1u, chunk);
            sum += in_row(decode(upper), is_second_row(element + 1u));
        }
        bits |= upper << 16u;
    }
    store_sum(word, bits);
    return sum;
}

fn output_bits(bits: u32, element: u32, chunk: u32) -> u32 {
    let column = column_of(element);
    let y = with_beta(normed(bits, is_second_row(element)) * gamma(column), column);
    if MASK_ON_OUTPUT {
        return select(0u, encode(y * params.mask.keep_scale), is_kept(element, chunk));
    }
    return encode(y);
}

fn write_output(word: u32, chunk: u32) {
    let sums = sum_word(word);
    let element = LANES * word;
    var bits = output_bits(sums & ELEMENT_BITS, element, chunk);
    if LANES == 2u {
        var upper = stored(word) >> 16u;
        if element + 1u < params.len {
            upper = output_bits(sums >> 16u, element + 1u, chunk);
        }
        bits |= upper << 16u;
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
