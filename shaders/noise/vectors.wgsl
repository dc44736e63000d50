// The noise of each element of a `Word` of four `u32`. Lanes are those of value/chain.wgsl.
fn noise_at(element: u32) -> f32 {
    return dropout_normal_at(params.mask, element_index(element));
}

fn noise(element: u32, half: u32) -> Float {
    let step = LANES / 4u;
    let first = element + half;
    return Float(
        noise_at(first),
        noise_at(first + step),
        noise_at(first + 2u * step),
        noise_at(first + 3u * step),
    );
}
