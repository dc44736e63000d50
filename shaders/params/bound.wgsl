// The parameters of params/mask.wgsl, and behind them the dimensions of a layout, in one buffer.
struct Params {
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    dimensions: array<Dimension, 8>,
}
