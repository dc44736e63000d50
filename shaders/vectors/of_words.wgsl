// The numbers for a `Word`'s elements, from `number` on, which is a multiple of LANES.
fn vector_at(number: u32, half: u32, vector: u32) -> Float {
    return vectors[number / LANES];
}
