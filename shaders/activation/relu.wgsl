// What is above 0; +0 for -0.
fn activate(x: Float) -> Float {
    return select(Float(0.0), x, x > Float(0.0));
}

fn slope(x: Float) -> Float {
    return select(Float(0.0), Float(1.0), x > Float(0.0));
}
