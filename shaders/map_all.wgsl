// Nothing is dropped: with value_keep.wgsl the bit copy that a rate of 0 is [M11].
fn keep_at(block: u32) -> KeepBlock {
    return KeepBlock(vec4<bool>(true), vec4<bool>(true));
}

fn work_at(invocation: u32) -> Work {
    return Work(8u * invocation, 8u * invocation, params.len, keep_at(invocation));
}
