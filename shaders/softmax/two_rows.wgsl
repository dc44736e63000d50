// `Marks` has one integer for each row of an invocation. Here a Word is two elements, which may lie
// in two rows.
alias Marks = vec2<u32>;

fn marks(first: u32, second: u32) -> Marks {
    return Marks(first, second);
}

fn mark_of(marks: Marks, element: u32, half: u32) -> u32 {
    return select(marks.x, marks.y, is_second_row(element, half));
}

// A score at the place of its row. The other row gets the least number.
fn most_of(x: Float, element: u32, half: u32) -> Rows {
    return select(Rows(x, -NAN), Rows(-NAN, x), is_second_row(element, half));
}

fn columns_of(element: u32, half: u32) -> Word {
    return column_of(element, half);
}
