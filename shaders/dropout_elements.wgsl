// Dropout for any first lane and any length: an invocation takes the elements of one block, one by
// one, so that an unaligned origin costs no second block. The same map as dropout_blocks.wgsl.
// Twin: src/cpu/dropout.rs.

fn dropout_element(element: u32, keep: bool) {
    // Lanes before the first element wrap to large numbers, which this refuses too.
    if element < params.len {
        store(element, select(0u, kept_value(load(element)), keep));
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_elements(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane_0 = 8u * id.x;
    if lane_0 >= params.first_lane + params.len {
        return;
    }
    let keep = keep_block(block_at(id.x));
    let element = lane_0 - params.first_lane;
    dropout_element(element, keep.even.x);
    dropout_element(element + 1u, keep.odd.x);
    dropout_element(element + 2u, keep.even.y);
    dropout_element(element + 3u, keep.odd.y);
    dropout_element(element + 4u, keep.even.z);
    dropout_element(element + 5u, keep.odd.z);
    dropout_element(element + 6u, keep.even.w);
    dropout_element(element + 7u, keep.odd.w);
}
