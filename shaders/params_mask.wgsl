// What one dispatch over mask indices is told. Twin: MaskParams in src/params.rs.
struct Params {
    // Philox key (low, high) [M3].
    seed: vec2<u32>,
    // Upper counter words (low, high) [M5].
    stream: vec2<u32>,
    // Block (low, high) and lane [M4] of the dispatch's first element; of a strided layout's first
    // index. Of a packed mask the first word that is the dispatch's, counted from the bound one.
    first_block: vec2<u32>,
    first_lane: u32,
    // Elements in this dispatch.
    len: u32,
    // D >> 16, at most 2^16, and D & 0xffff [M9].
    drop_threshold_high: u32,
    drop_threshold_low: u32,
    // Kept: x * keep_scale + keep_shift. Dropped: dropped_value. The last two are 0 but for alpha
    // dropout [M10].
    keep_scale: f32,
    keep_shift: f32,
    dropped_value: f32,
    // Unused; where one buffer has the parameters and a layout (params_bound.wgsl), its dimensions.
    tail: Tail,
}
