fn biased(x: f32, element: u32) -> f32 {
    return x;
}
