// Rows: consecutive mask indices along an innermost dimension of 32 elements or more, and any
// strides along the others.

// 32 bits of (low, high), from bit `shift` on. `shift` is below 64.
fn bits_from(low: u32, high: u32, shift: u32) -> u32 {
    // Two shifts, since WGSL takes a shift modulo 32, so that one by 32 would shift nothing.
    let across = (low >> shift) | ((high << 1u) << (31u - (shift & 31u)));
    return select(across, high >> (shift & 31u), shift >= 32u);
}

// Block k of a mask word. Its first `blocks` blocks are in one row, and the others in the next row.
fn block_of_two(row: vec2<u32>, next: vec2<u32>, blocks: u32, k: u32) -> vec2<u32> {
    return dropout_advance(select(next, row, k < blocks), select(k - blocks, k, k < blocks));
}

fn row_word(word: u32) -> u32 {
    let innermost = dimension_at(DIMENSIONS - 1u);
    let size = innermost.size;
    // The dispatch may begin within a row.
    let element = innermost.start + 32u * word;
    let rows = divide(element, innermost);
    let column = element - rows * size;
    let index = dropout_advance(index_after(rows, DIMENSIONS - 1u), column);
    let row = dropout_block_of(index);
    let lane = index.x & 7u;
    if WHOLE_WORDS {
        return dropout_keep_row(params.mask, row, lane);
    }
    // Elements and blocks of this row; the rest is the next one's. Both have seven at most.
    let count = min(size - column, 32u);
    let blocks = (lane + count + 7u) / 8u;
    let next_index = index_after(rows + 1u, DIMENSIONS - 1u);
    let next = dropout_block_of(next_index);
    let low = dropout_keep_blocks(
        params.mask,
        row,
        block_of_two(row, next, blocks, 1u),
        block_of_two(row, next, blocks, 2u),
        block_of_two(row, next, blocks, 3u),
    );
    let seventh = block_of_two(row, next, blocks, 6u);
    let high = dropout_keep_blocks(
        params.mask,
        block_of_two(row, next, blocks, 4u),
        block_of_two(row, next, blocks, 5u),
        seventh,
        seventh,
    );
    let next_bits = bits_from(low, high, 8u * blocks + (next_index.x & 7u));
    return insertBits(bits_from(low, high, lane), next_bits, count, 32u - count);
}
