// The position in a vector of `len` numbers for an element. `first` is the position for the
// invocation's first element. No division is needed if `len` is 32 or more, as it always is where a
// Word has four elements or more.
fn number_of(first: u32, element: u32, half: u32, len: u32) -> u32 {
    // For a `u32` with two elements this is called once for each, for larger Words once for all
    // elements.
    let number = first + (element & 31u) + select(0u, half, LANES == 2u);
    if LANES <= 2u && len < 32u {
        return number % len;
    }
    return select(number, number - len, number >= len);
}
