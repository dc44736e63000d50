// `Rows` has one number for each row of an invocation, and `Sums` has two. Here a Word is two
// elements, which may lie in two rows.
alias Rows = vec2<f32>;
alias Sums = vec4<f32>;

fn is_second_row(element: u32, half: u32) -> bool {
    return element + half - row_start >= params.columns;
}

fn in_row(x: f32, element: u32, half: u32) -> Rows {
    return select(Rows(x, 0.0), Rows(0.0, x), is_second_row(element, half));
}

fn of_row(rows: Rows, element: u32, half: u32) -> f32 {
    return select(rows.x, rows.y, is_second_row(element, half));
}

fn column_of(element: u32, half: u32) -> u32 {
    let place = element + half - row_start;
    return select(place, place - params.columns, is_second_row(element, half));
}

fn both(first: Rows, second: Rows) -> Sums {
    return Sums(first, second);
}

fn first_of(sums: Sums) -> Rows {
    return sums.xy;
}

fn second_of(sums: Sums) -> Rows {
    return sums.zw;
}
