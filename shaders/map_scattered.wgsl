// Any strides: each element draws for itself.
fn keep_element(element: u32) -> bool {
    return keep_index(index_after(element, DIMENSIONS));
}

fn keep_at(block: u32) -> KeepBlock {
    let first = 8u * block;
    return KeepBlock(
        vec4<bool>(
            keep_element(first),
            keep_element(first + 2u),
            keep_element(first + 4u),
            keep_element(first + 6u),
        ),
        vec4<bool>(
            keep_element(first + 1u),
            keep_element(first + 3u),
            keep_element(first + 5u),
            keep_element(first + 7u),
        ),
    );
}

fn work_at(invocation: u32) -> Work {
    return Work(8u * invocation, 8u * invocation, params.len, keep_at(invocation));
}
