// Consecutive mask indices along the innermost dimension, a row; any strides along the others.
fn keep_at(block: u32) -> KeepBlock {
    return keep_block(block_of(index_after(8u * block, DIMENSIONS)));
}

// An invocation takes what one row has of one block.
fn work_at(invocation: u32) -> Work {
    let row = dimensions[DIMENSIONS - 1u];
    // A row of n elements reaches into at most (n + 14) / 8 blocks.
    let blocks = (row.size + 14u) / 8u;
    // The dispatch may begin within a row.
    let number = invocation + row.start / 8u;
    let rows = number / blocks;
    let index = index_after(rows, DIMENSIONS - 1u);
    let block = number - rows * blocks;
    let column = 8u * block - (index.x & 7u);
    let keep = keep_block(add_wide(block_of(index), vec2<u32>(block, 0u)));
    return Work(rows * row.size - row.start + column, column, row.size, keep);
}
