// Parameters of a dispatch over rows with a norm. NormParams in src/plan/params.rs has this layout.
struct Params {
    // As in params/mask.wgsl. The dispatch has whole rows.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    // Elements of a row, and 1 by their number.
    columns: u32,
    reciprocal: f32,
    epsilon: f32,
    // Invocations that take a row, a power of two up to 256.
    lanes: u32,
    // How decisions are made (decide/modes.wgsl), and the numbers below.
    mode: u32,
    // The dispatch's first row.
    first_row: u32,
    // Numbers of the bias, 1 without one, and the one of the dispatch's first element. Gamma stands behind the bias
    // and beta behind gamma.
    bias_len: u32,
    bias_start: u32,
}

// Rows are divided by the root of their mean square: there is neither a mean nor a beta.
const RMS: u32 = 8u;
const HAS_BIAS: u32 = 16u;
// Without one a residual is +0.
const HAS_RESIDUAL: u32 = 32u;
// Nobody wants the sum: the output holds it until it is overwritten.
const SUM_IN_OUTPUT: u32 = 64u;
// The gradient of the sum is added to what stands there.
const ACCUMULATE: u32 = 128u;

fn has(flag: u32) -> bool {
    return (params.mode & flag) != 0u;
}
