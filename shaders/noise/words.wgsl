// The noise of one element. Lanes are those of value/chain.wgsl.
fn noise(element: u32, half: u32) -> Float {
    return dropout_normal_at(params.mask, element_index(element + half));
}
