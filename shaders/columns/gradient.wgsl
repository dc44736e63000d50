// The gradient has the input's type.
fn gradient_of(element: u32) -> f32 {
    return decode((gradient[element / LANES] >> (16u * (element % LANES))) & ELEMENT_BITS);
}
