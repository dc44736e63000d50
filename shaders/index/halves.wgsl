// The positions of the Words of the gate and of its other factor (up) in their ranges. Each has a
// range of its own, or both are halves of rows. A Word lies in one row.

// Row and column of the invocation's first element.
var<private> first_row: u32;
var<private> first_column: u32;

// The invocation's elements begin at `element`, a multiple of 32.
fn begin(element: u32) {
    begin_biases(element);
    if params.columns != 0u {
        first_row = element / params.columns;
        first_column = element - first_row * params.columns;
    }
}

// The position of the gate's Word i.
fn gate_place(i: u32) -> u32 {
    if params.columns == 0u {
        return i;
    }
    let column = first_column + ((LANES * i) & 31u);
    var rows = u32(column >= params.columns);
    if params.columns < 32u {
        rows = column / params.columns;
    }
    return i + (first_row + rows) * params.columns / LANES;
}

fn up_place(i: u32) -> u32 {
    return gate_place(i) + params.columns / LANES;
}
