// Gaussian dropout [M20]: each element is multiplied by a normal number of mean 1.
fn drop(x: Float, keep: Keep, element: u32, half: u32) -> Float {
    return x * (1.0 + params.mask.sigma * noise(element, half));
}
