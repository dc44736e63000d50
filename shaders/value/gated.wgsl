// An activation of a gate, times the other factor (up), before dropout [M24].
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let gate = biased(decode(bits), element, half);
    let up = biased_up(decode(half_of(up_word(element / LANES), half)), element, half);
    return select(Word(), encode(activated(gate) * up * params.mask.keep_scale), keep);
}
