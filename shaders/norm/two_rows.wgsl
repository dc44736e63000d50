// A number for each row of an invocation, which may have Words of two rows, and sums of two numbers.
alias Rows = vec2<f32>;
alias Sums = vec4<f32>;

fn in_row(x: f32, is_second: bool) -> Rows {
    return select(Rows(x, 0.0), Rows(0.0, x), is_second);
}

fn of_row(rows: Rows, is_second: bool) -> f32 {
    return select(rows.x, rows.y, is_second);
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
