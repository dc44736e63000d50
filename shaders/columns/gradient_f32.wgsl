// The gradient is f32.
fn gradient_of(element: u32) -> f32 {
    return bitcast<f32>(gradient[element]);
}
