// A residual plus the dropout of a branch with a bias and a scale [M23]. If the branch is dropped,
// the result has the residual's bits: a sum with 0 would change -0 and NaN.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let residual_bits = (residual_word(element / LANES) >> Word(16u * half)) & Word(ELEMENT_BITS);
    let branch = scaled(biased(decode(bits), element, half), element, half);
    let sum = decode_stream(residual_bits) + branch * params.mask.keep_scale;
    return select(residual_bits, encode_stream(sum), keep);
}
