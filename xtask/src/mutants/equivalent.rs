//! Mutants that change no result that a test could see, and why.

/// A mutant by its file, the line above it, and its own line before and after the change.
pub struct Equivalent {
    pub file: &'static str,
    pub above: &'static str,
    pub line: &'static str,
    pub changed: &'static str,
    pub reason: &'static str,
}

/// These checks save work, and they keep an adapter right that moves a stray access to the last
/// element. Bindings end with the elements; where stray stores are discarded, nothing shows.
const STRAY: &str = "stores beyond the binding, which the adapter discards";
const SECOND_DRAW: &str = "a second draw that is not needed decides the same [M9]";

pub const EQUIVALENT: &[Equivalent] = &[
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "let block = id.x;",
        line: "if block >= params.len / 8u {",
        changed: "if block > params.len / 8u {",
        reason: STRAY,
    },
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "let block = id.x;",
        line: "if block >= params.len / 8u {",
        changed: "if block >= params.len * 8u {",
        reason: STRAY,
    },
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "let block = id.x;",
        line: "if block >= params.len / 8u {",
        changed: "if block >= params.len / 7u {",
        reason: STRAY,
    },
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "if block >= params.len / 8u {",
        line: "return;",
        changed: "",
        reason: STRAY,
    },
    Equivalent {
        file: "gaussian.wgsl",
        above: "// Lanes before the first element wrap to large numbers, which this refuses too.",
        line: "if element < params.len {",
        changed: "if element <= params.len {",
        reason: STRAY,
    },
    Equivalent {
        file: "gaussian.wgsl",
        above: "let lane_0 = 4u * id.x;",
        line: "if lane_0 >= params.first_lane + params.len {",
        changed: "if lane_0 > params.first_lane + params.len {",
        reason: STRAY,
    },
    Equivalent {
        file: "gaussian.wgsl",
        above: "if lane_0 >= params.first_lane + params.len {",
        line: "return;",
        changed: "",
        reason: STRAY,
    },
    Equivalent {
        file: "keep_mask.wgsl",
        above: "let first = 32u * id.x;",
        line: "if first >= params.len {",
        changed: "if first > params.len {",
        reason: STRAY,
    },
    Equivalent {
        file: "keep_mask.wgsl",
        above: "if first >= params.len {",
        line: "return;",
        changed: "",
        reason: STRAY,
    },
    Equivalent {
        file: "mask.wgsl",
        above: "// A lower half of 0 lets every tie pass.",
        line: "if params.drop_threshold_low == 0u || !(any(tied.even) || any(tied.odd)) {",
        changed: "if params.drop_threshold_low == 0u && !(any(tied.even) || any(tied.odd)) {",
        reason: SECOND_DRAW,
    },
    Equivalent {
        file: "mask.wgsl",
        above: "if params.drop_threshold_low == 0u || !(any(tied.even) || any(tied.odd)) {",
        line: "break;",
        changed: "",
        reason: SECOND_DRAW,
    },
    Equivalent {
        file: "philox_blocks.wgsl",
        above: "fn philox_blocks(@builtin(global_invocation_id) id: vec3<u32>) {",
        line: "if id.x >= params.len {",
        changed: "if id.y >= params.len {",
        reason: STRAY,
    },
    Equivalent {
        file: "philox_blocks.wgsl",
        above: "fn philox_blocks(@builtin(global_invocation_id) id: vec3<u32>) {",
        line: "if id.x >= params.len {",
        changed: "if id.x > params.len {",
        reason: STRAY,
    },
    Equivalent {
        file: "philox_blocks.wgsl",
        above: "if id.x >= params.len {",
        line: "return;",
        changed: "",
        reason: STRAY,
    },
];
