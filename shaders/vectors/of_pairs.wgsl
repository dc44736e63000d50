// The numbers of the upper halves, which were loaded with those of the lower halves: of the bias and of the scale.
var<private> upper_numbers: array<vec4<f32>, 2>;

// The numbers of the lower or upper halves of a `Word` of pairs, which begins at `number`, a multiple of 8. The
// lower ones are asked for first.
fn vector_at(number: u32, half: u32, vector: u32) -> Float {
    if half == 1u {
        return upper_numbers[vector];
    }
    let a = vectors[number / 4u];
    let b = vectors[number / 4u + 1u];
    upper_numbers[vector] = vec4(a.yw, b.yw);
    return vec4(a.xz, b.xz);
}
