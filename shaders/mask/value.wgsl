// Dropout of one f32 [M10]-[M12], [M17], [M20]. Results are chosen by bits, since WGSL lets an
// implementation assume that no NaN exists. Needs DropoutMask (mask.wgsl), and for noise
// normal.wgsl.

// Inverted and classic dropout of x, and the gradient of inverted, classic and alpha dropout.
fn dropout_value(mask: DropoutMask, x: f32, keep: bool) -> f32 {
    let scaled = bitcast<u32>(x * mask.keep_scale);
    // A product with 1 may change a NaN's payload.
    let kept = select(scaled, bitcast<u32>(x), mask.keep_scale == 1.0);
    return bitcast<f32>(select(0u, kept, keep));
}

// Alpha dropout of x. Its gradient is dropout_value.
fn dropout_alpha(mask: DropoutMask, x: f32, keep: bool) -> f32 {
    let scaled = bitcast<u32>(x * mask.keep_scale + mask.keep_shift);
    // A rate of 0 copies. A sum with 0 would change the sign of -0.
    let is_copy = mask.keep_scale == 1.0 && mask.keep_shift == 0.0;
    let kept = select(scaled, bitcast<u32>(x), is_copy);
    return bitcast<f32>(select(bitcast<u32>(mask.dropped_value), kept, keep));
}

// Gaussian dropout of x, which has the mask index `index` below 2^63. The gradient is the same map.
fn dropout_gaussian_at(mask: DropoutMask, x: f32, index: vec2<u32>) -> f32 {
    let noisy = bitcast<u32>(x * (1.0 + mask.sigma * dropout_normal_at(mask, index)));
    return bitcast<f32>(select(noisy, bitcast<u32>(x), mask.sigma == 0.0));
}

// Gaussian dropout of x, which is the element `element`, counted from the first index.
fn dropout_gaussian(mask: DropoutMask, x: f32, element: u32) -> f32 {
    return dropout_gaussian_at(mask, x, dropout_index_of(mask, element));
}
