// Parameters of a dispatch over rows with a norm. NormParams in src/plan/params.rs has this layout.
struct Params {
    // These fields up to `first_block` are those of params/mask.wgsl. The dispatch has whole rows.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    // Number of elements of a row, and 1 divided by it.
    columns: u32,
    reciprocal: f32,
    epsilon: f32,
    // Number of invocations that share a row: a power of two, at most 256.
    lanes: u32,
    // The way in which decisions are made (decide/modes.wgsl), and the flags below.
    mode: u32,
    // The dispatch's first row.
    first_row: u32,
    // Length of the bias, 1 without one, and the position in it for the dispatch's first element.
    // Gamma follows the bias, and beta follows gamma.
    bias_len: u32,
    bias_start: u32,
}

// The norm is a root mean square: no mean is subtracted, and there is no beta.
const RMS: u32 = 8u;
const HAS_BIAS: u32 = 16u;
// Without this flag the residual is +0.
const HAS_RESIDUAL: u32 = 32u;
// The sum is not stored: it is in the output's range until the output overwrites it.
const SUM_IN_OUTPUT: u32 = 64u;
// The gradient of the sum is added to the content of its range.
const ACCUMULATE: u32 = 128u;

fn has(flag: u32) -> bool {
    return (params.mode & flag) != 0u;
}
