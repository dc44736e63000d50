// The number of an element in a vector of `len`, without a division where that is 32 or more, as it is where
// words have four elements. `first` is the number of the invocation's first element.
fn number_of(first: u32, element: u32, half: u32, len: u32) -> u32 {
    // A `u32` with two elements asks for each of them, larger words for all of theirs.
    let number = first + (element & 31u) + select(0u, half, LANES == 2u);
    if LANES <= 2u && len < 32u {
        return number % len;
    }
    return select(number, number - len, number >= len);
}
