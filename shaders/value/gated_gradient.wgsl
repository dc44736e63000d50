// The gradients of a gate and of its other factor (up) [M24], from the gradient of the output. The
// gate's gradient is the result; the other factor's gradient is left in `grad_up` for `store`.
var<private> grad_up: Word;

fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let i = element / LANES;
    let gate = biased(decode(half_of(gate_word(i), half)), element, half);
    let up = biased_up(decode(half_of(up_word(i), half)), element, half);
    let grad = decode(bits) * params.mask.keep_scale;
    let up_bits = select(Word(), encode(grad * activated(gate)), keep);
    if half == 0u {
        grad_up = up_bits;
    } else {
        grad_up |= up_bits << Word(16u);
    }
    return select(Word(), encode(grad * up * derived(gate)), keep);
}
