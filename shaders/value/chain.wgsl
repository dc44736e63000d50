// A value's way through f32: one decode, what comes before, the drop, what comes after, one encode.
// Lane l of a step is element `element` + l, or where a `u32` has two elements `element` + 2 l + `half`.
fn value(bits: Word, keep: Keep, element: u32, half: u32) -> Word {
    let x = before(decode(bits), element, half);
    return encode(after(drop(x, keep, element, half), element, half));
}
