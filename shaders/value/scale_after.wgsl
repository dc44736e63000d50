// The gradient of a branch with a scale [M23]: the gradient of a kept element is multiplied by the
// call's factor, then by the scale.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let kept = scaled(decode_stream(bits) * params.mask.keep_scale, element, half);
    return select(Word(), encode(kept), keep);
}
