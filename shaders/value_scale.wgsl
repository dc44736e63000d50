// Inverted scaling: kept values are scaled, one f32 product [M11]. Decided on bits: WGSL lets an
// implementation assume that no NaN exists [M12]. `Float` and `Keep` have `Word`'s shape (prelude);
// scale, decode and encode are the element type's (element_*.wgsl).
fn value(bits: Word, keep: Keep) -> Word {
    return select(Word(), scale(bits, params.keep_scale), keep);
}
