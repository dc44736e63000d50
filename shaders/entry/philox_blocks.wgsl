// Raw Philox blocks of consecutive 128-bit counters, for known-answer tests and statistical tests.

// The counter is one 128-bit number, and wraps.
fn counter_at(offset: u32) -> vec4<u32> {
    let c0 = params.counter.x + offset;
    let c1 = params.counter.y + u32(c0 < offset);
    let c2 = params.counter.z + u32(c0 < offset && c1 == 0u);
    let c3 = params.counter.w + u32(c0 < offset && c1 == 0u && c2 == 0u);
    return vec4<u32>(c0, c1, c2, c3);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn philox_blocks(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.len {
        return;
    }
    blocks[id.x] = dropout_philox(counter_at(id.x), params.key);
}
