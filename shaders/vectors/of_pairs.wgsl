// The numbers of the upper halves, for the bias and for the scale. They were loaded with those of
// the lower halves.
var<private> upper_numbers: array<vec4<f32>, 2>;

// The numbers for the lower or upper halves of a `Word` of pairs. The Word's first number is
// `number`, a multiple of 8. The lower halves must be asked for first.
fn vector_at(number: u32, half: u32, vector: u32) -> Float {
    if half == 1u {
        return upper_numbers[vector];
    }
    let a = vectors[number / 4u];
    let b = vectors[number / 4u + 1u];
    upper_numbers[vector] = vec4(a.yw, b.yw);
    return vec4(a.xz, b.xz);
}
