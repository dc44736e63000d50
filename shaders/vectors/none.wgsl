// There is neither a bias nor a scale.
fn biased(x: Float, element: u32, half: u32) -> Float {
    return x;
}

fn scaled(x: Float, element: u32, half: u32) -> Float {
    return x;
}
