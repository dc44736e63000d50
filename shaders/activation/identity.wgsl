// No activation: only the bias is added.
fn activate(x: Float) -> Float {
    return x;
}

fn slope(x: Float) -> Float {
    return Float(1.0);
}
