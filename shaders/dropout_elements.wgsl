// Dropout for any layout, first lane and length: an invocation takes up to eight elements, one by
// one, so that an unaligned origin costs no second block. The same map as dropout_blocks.wgsl.
// Twin: src/cpu/dropout.rs.

fn dropout_element(work: Work, lane: u32, keep: bool) {
    let element = work.element + lane;
    if element < params.len && work.column + lane < work.columns {
        store(element, value(load(element), keep));
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_elements(@builtin(global_invocation_id) id: vec3<u32>) {
    let work = work_at(id.x);
    dropout_element(work, 0u, work.keep.even.x);
    dropout_element(work, 1u, work.keep.odd.x);
    dropout_element(work, 2u, work.keep.even.y);
    dropout_element(work, 3u, work.keep.odd.y);
    dropout_element(work, 4u, work.keep.even.z);
    dropout_element(work, 5u, work.keep.odd.z);
    dropout_element(work, 6u, work.keep.even.w);
    dropout_element(work, 7u, work.keep.odd.w);
}
