// 32 bits of (low, high) from bit `shift` on, below 64.
fn bits_from(low: u32, high: u32, shift: u32) -> u32 {
    // Two steps, since a shift by 32 is one by 0.
    let across = (low >> shift) | ((high << 1u) << (31u - (shift & 31u)));
    return select(across, high >> (shift & 31u), shift >= 32u);
}
