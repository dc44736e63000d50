// Inverted dropout: a kept value is scaled by one f32 product [M11]. The selection is on bits,
// since WGSL lets an implementation assume that no NaN exists [M12]. `Float` and `Keep` have the
// shape of `Word` (prelude), and `scale` is that of the element's type (element/*.wgsl).
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    return select(Word(), scale(bits, params.mask.keep_scale), keep);
}
