// Consecutive mask indices: element e has the mask index of the dispatch's first element plus e.
fn element_index(element: u32) -> vec2<u32> {
    return dropout_index_of(params.mask, element);
}

// The block of elements 8 n to 8 n + 7. The dispatch's first element must be the first of a block.
fn block_number(n: u32) -> vec2<u32> {
    return dropout_advance(params.first_block, n);
}
