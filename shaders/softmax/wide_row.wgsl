// `Marks` has one integer for each row of an invocation. Here an invocation has Words of one row,
// and a Word is four elements, or the lower or upper halves of eight.
alias Marks = u32;

fn marks(first: u32, second: u32) -> Marks {
    return first;
}

fn mark_of(marks: Marks, element: u32, half: u32) -> u32 {
    return marks;
}

// The largest of a Float's numbers.
fn most_of(x: Float, element: u32, half: u32) -> Rows {
    return max(max(x.x, x.y), max(x.z, x.w));
}

fn columns_of(element: u32, half: u32) -> Word {
    return column_of(element, half) + half + LANES / 4u * Word(0u, 1u, 2u, 3u);
}
