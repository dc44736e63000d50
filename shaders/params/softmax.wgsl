// Parameters of a dispatch over rows with a softmax. SoftmaxParams in src/plan/params.rs has this
// layout.
struct Params {
    // These fields up to `first_block` are those of params/mask.wgsl. The dispatch has whole rows.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    // Elements of a row.
    columns: u32,
    // Number of invocations that share a row: a power of two, at most 256.
    lanes: u32,
    // The way in which decisions are made (decide/modes.wgsl), and the flags below.
    mode: u32,
    // The factor on scores, and the largest magnitude of a score before it.
    factor: f32,
    score_limit: f32,
    // Rows of an additive mask or of a causal matrix, 1 if there is neither, and the one of these
    // rows that belongs to the dispatch's first row.
    period_rows: u32,
    first_row: u32,
    // The last column that row 0 of a causal matrix sees.
    offset: i32,
}

const ADDITIVE: u32 = 8u;
const CAUSAL: u32 = 16u;
// The output's range holds the scores, or in the backward the gradient of the output, until the
// result overwrites them.
const IN_OUTPUT: u32 = 32u;
// The forward stores the probabilities.
const PROBABILITIES: u32 = 64u;

fn has(flag: u32) -> bool {
    return (params.mode & flag) != 0u;
}
