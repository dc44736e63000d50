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
const WHOLE_TURN: &str = "an angle a whole turn away, which the adapter's sin and cos take as well";
const SECOND_DRAW: &str = "a second draw that is not needed decides the same [M9]";

pub const EQUIVALENT: &[Equivalent] = &[
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "fn dropout_block(n: u32, keep: u32) {",
        line: "if n >= params.len / 8u {",
        changed: "if n > params.len / 8u {",
        reason: STRAY,
    },
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "fn dropout_block(n: u32, keep: u32) {",
        line: "if n >= params.len / 8u {",
        changed: "if n >= params.len * 8u {",
        reason: STRAY,
    },
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "fn dropout_block(n: u32, keep: u32) {",
        line: "if n >= params.len / 8u {",
        changed: "if n >= params.len / 7u {",
        reason: STRAY,
    },
    Equivalent {
        file: "dropout_blocks.wgsl",
        above: "if n >= params.len / 8u {",
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
        file: "gaussian.wgsl",
        above: "let radius = sqrt(max(-2.0 * log(uniform_0), 0.0));",
        line: "let angle = 6.28318530717958647692 * (uniform_1 - 0.5);",
        changed: "let angle = 6.28318530717958647692 * (uniform_1 + 0.5);",
        reason: WHOLE_TURN,
    },
    Equivalent {
        file: "gaussian.wgsl",
        above: "let radius = sqrt(max(-2.0 * log(uniform_0), 0.0));",
        line: "let angle = 6.28318530717958647692 * (uniform_1 - 0.5);",
        changed: "let angle = 6.28318530717958647692 * (uniform_1 - 1.5);",
        reason: WHOLE_TURN,
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
        line: "if params.drop_threshold_low == 0u || tied == 0u {",
        changed: "if params.drop_threshold_low == 0u && tied == 0u {",
        reason: SECOND_DRAW,
    },
    Equivalent {
        file: "mask.wgsl",
        above: "if params.drop_threshold_low == 0u || tied == 0u {",
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
    Equivalent {
        file: "strided.wgsl",
        above: "var coordinate = dimension.start + sum.carry;",
        line: "var carry = 0u;",
        changed: "var carry = 1u;",
        reason: "nothing takes what the outermost dimension carries",
    },
    Equivalent {
        file: "strided.wgsl",
        above: "if count > 1u { sum = add_dimension(sum, 1u); }",
        line: "if count > 0u { sum = add_dimension(sum, 0u); }",
        changed: "if count >= 0u { sum = add_dimension(sum, 0u); }",
        reason: "the only dimension of a run has stride 0",
    },
];
