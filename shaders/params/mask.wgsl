// Parameters of a dispatch over mask indices. MaskParams in src/plan/params.rs has this layout.
struct Params {
    // The first index is the one of the dispatch's first element; of a strided layout, the layout's first.
    @align(16) mask: DropoutMask,
    // Elements in this dispatch.
    len: u32,
    // Word of the bound packed mask that has the dispatch's first element in its bit 0.
    first_word: u32,
    // Block of the first index [M4].
    first_block: vec2<u32>,
}
