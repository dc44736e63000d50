// Gaussian dropout [M18]-[M20]: each element times a normal number of mean 1, an invocation takes
// the four of one block. Reads params.keep_scale as sigma. Twin: src/cpu/gaussian.rs.

// Two normal numbers out of two words: Box and Muller 1958 [M19]. The angle lies in [-pi, pi),
// where WGSL bounds the error of sin and cos.
fn normal_pair(words: vec2<u32>) -> vec2<f32> {
    // Both are exact: 23 bits, and a half.
    let uniform_0 = (f32(words.x >> 9u) + 0.5) * 0x1p-23;
    let uniform_1 = f32(words.y >> 9u) * 0x1p-23;
    // An adapter's log of a number just below 1 may be above 0.
    let radius = sqrt(max(-2.0 * log(uniform_0), 0.0));
    let angle = 6.28318530717958647692 * (uniform_1 - 0.5);
    return radius * vec2<f32>(cos(angle), sin(angle));
}

fn gaussian_element(element: u32, normal: f32) {
    // Lanes before the first element wrap to large numbers, which this refuses too.
    if element < params.len {
        let x = bitcast<f32>(load(element));
        store(element, bitcast<u32>(x * (1.0 + params.keep_scale * normal)));
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn gaussian(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane_0 = 4u * id.x;
    if lane_0 >= params.first_lane + params.len {
        return;
    }
    let words = mask_words(block_at(id.x), 2u);
    let first = normal_pair(words.xy);
    let second = normal_pair(words.zw);
    let element = lane_0 - params.first_lane;
    gaussian_element(element, first.x);
    gaussian_element(element + 1u, first.y);
    gaussian_element(element + 2u, second.x);
    gaussian_element(element + 3u, second.y);
}
