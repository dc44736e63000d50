// A packed mask from outside [M15] in place of a drawn one.
@group(0) @binding(2) var<storage, read> mask: array<u32>;

fn keep_at(block: u32) -> KeepBlock {
    let byte = params.first_block.x + block;
    let bits = vec4<u32>(mask[byte >> 2u] >> (8u * (byte & 3u)));
    return KeepBlock(
        (bits & vec4<u32>(1u, 4u, 16u, 64u)) != vec4<u32>(),
        (bits & vec4<u32>(2u, 8u, 32u, 128u)) != vec4<u32>(),
    );
}

fn work_at(invocation: u32) -> Work {
    return Work(8u * invocation, 8u * invocation, params.len, keep_at(invocation));
}
