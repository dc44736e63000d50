// Parameters of a dispatch over mask indices. MaskParams in src/plan/params.rs has this layout.
struct Params {
    // The mask's first index is that of the dispatch's first element. For a strided layout it is
    // the layout's first index.
    @align(16) mask: DropoutMask,
    // Elements in this dispatch.
    len: u32,
    // Number of the word, in the bound packed mask, that has the dispatch's first element in bit 0.
    first_word: u32,
    // Block of the first index [M4].
    first_block: vec2<u32>,
}
