// A number for each row of an invocation, which has Words of one row, and sums of two numbers.
alias Rows = f32;
alias Sums = vec2<f32>;

fn in_row(x: f32, is_second: bool) -> Rows {
    return x;
}

fn of_row(rows: Rows, is_second: bool) -> f32 {
    return rows;
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
