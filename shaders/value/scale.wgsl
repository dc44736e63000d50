// Inverted scaling: kept values are scaled, one f32 product [M11]. Decided on bits: WGSL lets an
// implementation assume that no NaN exists [M12]. `Float` and `Keep` have `Word`'s shape (prelude);
// `scale` is the element type's (element/*.wgsl).
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    return select(Word(), scale(bits, params.mask.keep_scale), keep);
}
