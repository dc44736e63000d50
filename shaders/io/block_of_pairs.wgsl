// Writes a mask block of elements of 16 bits. `even` and `odd` are the decisions of its lanes.
fn write_lanes(n: u32, even: Keep, odd: Keep) {
    let word = load(n);
    let low = value(word & Word(0xffffu), even, 8u * n, 0u);
    let high = value(word >> Word(16u), odd, 8u * n, 1u);
    store(n, low | (high << Word(16u)));
}
