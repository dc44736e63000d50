// Parameters of a dispatch over mask indices with a bias and a scale. VectorParams in
// src/plan/params.rs has this layout.
struct Params {
    // These fields up to `first_block` are those of params/mask.wgsl.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    // Length of the bias, 0 without one, and the position in it for the dispatch's first element.
    bias_len: u32,
    bias_start: u32,
    // The same for the scale, which is behind the bias.
    scale_len: u32,
    scale_start: u32,
}
