// One mask and its factors: twelve scalars of 4 bytes, 48 bytes in all. DropoutMask in
// src/contract/dropout_mask.rs has this layout and explains each field.
struct DropoutMask {
    // Philox key [M3].
    seed_low: u32,
    seed_high: u32,
    // Upper counter words [M5].
    stream_low: u32,
    stream_high: u32,
    // Mask index of the first element [M13].
    first_index_low: u32,
    first_index_high: u32,
    // D >> 16, at most 2^16, and D & 0xffff [M9].
    threshold_high: u32,
    threshold_low: u32,
    // Kept: x * keep_scale + keep_shift. Dropped: dropped_value. The last two are 0, except for
    // alpha dropout [M10], [M17].
    keep_scale: f32,
    keep_shift: f32,
    dropped_value: f32,
    // Standard deviation of Gaussian noise [M20]; 0 if everything is dropped.
    sigma: f32,
}
