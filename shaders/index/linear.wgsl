// Consecutive mask indices: element e has the mask index of the dispatch's first element plus e.
fn element_index(element: u32) -> vec2<u32> {
    return dropout_index_of(params.mask, element);
}

// Block n of the dispatch: of elements 8 n to 8 n + 7, where the first element is a block's first.
fn block_number(n: u32) -> vec2<u32> {
    return dropout_advance(params.first_block, n);
}
