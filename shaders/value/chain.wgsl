// Computes a value in f32: `decode`, `before` dropout, `drop`, `after` dropout, `encode`. Lane l of
// each function is element `element` + l, or `element` + 2 l + `half` for a type with two elements
// in a `u32`.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let x = before(decode(bits), element, half);
    return encode(after(drop(x, keep, element, half), element, half));
}
