// `Rows` has one number for each row of an invocation, and `Sums` has two. Here an invocation has
// Words of one row, and a Word is one element.
alias Rows = f32;
alias Sums = vec2<f32>;

fn in_row(x: f32, element: u32, half: u32) -> Rows {
    return x;
}

fn of_row(rows: Rows, element: u32, half: u32) -> f32 {
    return rows;
}

fn column_of(element: u32, half: u32) -> u32 {
    return element - row_start;
}

fn both(first: Rows, second: Rows) -> Sums {
    return Sums(first, second);
}

fn first_of(sums: Sums) -> Rows {
    return sums.x;
}

fn second_of(sums: Sums) -> Rows {
    return sums.y;
}
