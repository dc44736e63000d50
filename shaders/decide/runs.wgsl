// Runs: one decision along an innermost dimension of 32 elements or more, and any strides along the
// others.
fn run_bits(run: u32) -> u32 {
    let index = index_after(run, DIMENSIONS - 1u);
    return select(0u, 0xffffffffu, dropout_keep_at(params.mask, index));
}

fn run_word(word: u32) -> u32 {
    let innermost = dimension_at(DIMENSIONS - 1u);
    // The dispatch may begin within a run, and a word may have parts of two runs.
    let element = innermost.start + 32u * word;
    let runs = divide(element, innermost);
    let bits = run_bits(runs);
    if WHOLE_WORDS {
        return bits;
    }
    let left = innermost.size - (element - runs * innermost.size);
    return insertBits(bits, run_bits(runs + 1u), min(left, 32u), 32u);
}
