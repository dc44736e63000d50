// The numbers of the lower or upper halves of a `Word` of pairs, which begins at `number`, a multiple of 8.
fn vector_at(number: u32, half: u32) -> Float {
    let a = vectors[number / 4u];
    let b = vectors[number / 4u + 1u];
    return select(vec4(a.xz, b.xz), vec4(a.yw, b.yw), half == 1u);
}
