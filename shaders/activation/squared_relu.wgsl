// max(x, 0), squared.
fn activate(x: Float) -> Float {
    let y = select(Float(0.0), x, x > Float(0.0));
    return y * y;
}

fn slope(x: Float) -> Float {
    return select(Float(0.0), 2.0 * x, x > Float(0.0));
}
