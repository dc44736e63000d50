// The mean, its correction and 1 / deviation of each row, for the gradient of gamma [M25]. On the
// CPU: src/cpu/normed.rs.

fn store_moments(row: u32, element: u32) {
    let place = 3u * (params.first_row + row);
    moments[place] = of_row(mean, element, 0u);
    moments[place + 1u] = of_row(correction, element, 0u);
    moments[place + 2u] = of_row(factor, element, 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm_moments(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    begin_rows(local, workgroup.x);
    find_moments(stored_sum(), local);
    if lane_of(local) != 0u || row_start >= params.len {
        return;
    }
    store_moments(own_row, row_start);
    if rows_at_once() == 2u && row_start + params.columns < params.len {
        store_moments(own_row + 1u, row_start + params.columns);
    }
}
