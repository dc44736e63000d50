// Parameters of a dispatch with an activation. ActivatedParams in src/plan/params.rs has this
// layout.
struct Params {
    // These fields up to `first_block` are those of params/mask.wgsl.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    // Length of the bias, 0 without one, and the position in it for the dispatch's first element.
    // With a gate, the bias of its other factor (up) follows and has the same length.
    bias_len: u32,
    bias_start: u32,
    // Elements in half a row if gate and up are the halves of rows, else 0. The dispatch begins
    // with a row.
    columns: u32,
    // The way in which decisions are made (decide/modes.wgsl), and IN_PLACE.
    mode: u32,
}

// The output's range holds the input. With a gate, only the gradient may be in place.
const IN_PLACE: u32 = 8u;
