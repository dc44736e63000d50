// Consecutive mask indices: element e has that of the dispatch's first element plus e.
fn keep_at(block: u32) -> KeepBlock {
    return keep_block(block_at(block));
}

// An invocation takes the elements of one block.
fn work_at(invocation: u32) -> Work {
    // In the first block, lanes before the first element wrap to large numbers.
    let element = 8u * invocation - params.first_lane;
    return Work(element, element, params.len, keep_block(block_at(invocation)));
}
