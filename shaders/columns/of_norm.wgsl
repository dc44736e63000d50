// The terms of the gradient of a norm's gamma [M25]: the gradient of the output times the
// normalised number.
fn draw(first_row: u32, rows: u32, first_column: u32, local: u32) {
}

fn term(element: u32, row: u32, first_column: u32) -> f32 {
    let grad = decode((gradient[element / LANES] >> (16u * (element % LANES))) & ELEMENT_BITS);
    let place = 3u * (TILE_ROWS * params.first_tile + row);
    let d = decode(input_bits(element)) - moments[place];
    return grad * ((d - moments[place + 1u]) * moments[place + 2u]);
}
