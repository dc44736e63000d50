// The number of one element.
fn vector_at(number: u32, half: u32, vector: u32) -> Float {
    return vectors[number];
}
