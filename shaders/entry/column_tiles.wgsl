// The first stage of a sum of columns: a workgroup adds the rows of a tile one after the other, in
// 256 columns. Tiles are counted from the first row of the matrix, so that neither the device's
// limits nor a cut into dispatches change the order of additions. No operation is atomic. On the
// CPU: src/cpu/columns.rs.

fn input_bits(element: u32) -> u32 {
    return (input[element / LANES] >> (16u * (element % LANES))) & ELEMENT_BITS;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn column_tiles(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let strips = (params.columns + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
    let tile = workgroup.x / strips;
    let first_column = WORKGROUP_SIZE * (workgroup.x % strips);
    let first_row = TILE_ROWS * tile;
    let end_row = min(first_row + TILE_ROWS, params.rows);
    draw(first_row, end_row - first_row, first_column, local);
    let column = first_column + local;
    if column >= params.columns {
        return;
    }
    var sum = 0.0;
    for (var row = first_row; row < end_row; row++) {
        sum += term(row * params.columns + column, row, first_column);
    }
    scratch[(params.first_tile + tile) * params.columns + column] = sum;
}
