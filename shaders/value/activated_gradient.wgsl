// The gradient of an activation's input [M24], from that of the output.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let x = biased(decode(half_of(input_word(element / LANES), half)), element, half);
    let kept = decode(bits) * params.mask.keep_scale * derived(x);
    return select(Word(), encode(kept), keep);
}
