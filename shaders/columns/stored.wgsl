// The terms of the sum are the stored elements.
fn draw(first_row: u32, rows: u32, first_column: u32, local: u32) {
}

fn term(element: u32, row: u32, first_column: u32) -> f32 {
    return decode(input_bits(element));
}
