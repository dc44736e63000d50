// One decision along the innermost dimension, a run of 32 elements and more; any strides along the
// others.
fn run_bits(run: u32) -> u32 {
    return select(0u, 0xffffffffu, keep_index(index_after(run, DIMENSIONS - 1u)));
}

fn mask_word(n: u32) -> u32 {
    let run = dimension_at(DIMENSIONS - 1u);
    // The dispatch may begin within a run, and a word have parts of two.
    let element = run.start + 32u * n;
    let runs = element / run.size;
    let bits = run_bits(runs);
    if WHOLE_WORDS {
        return bits;
    }
    let left = run.size - (element - runs * run.size);
    return insertBits(bits, run_bits(runs + 1u), min(left, 32u), 32u);
}
