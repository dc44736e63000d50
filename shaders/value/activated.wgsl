// An activation before dropout [M24].
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let x = biased(decode(bits), element, half);
    return select(Word(), encode(activated(x) * params.mask.keep_scale), keep);
}
