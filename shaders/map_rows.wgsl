// Consecutive mask indices along the innermost dimension, a row of 32 elements and more; any
// strides along the others.

// The block of elements 8 n to 8 n + 7, where each row begins with a block and ends with one.
fn block_number(n: u32) -> vec2<u32> {
    return block_of(index_after(8u * n, DIMENSIONS));
}

// Block `offset` blocks behind `block`.
fn block_behind(block: vec2<u32>, offset: u32) -> vec2<u32> {
    return add_wide(block, vec2<u32>(offset, 0u));
}

// Block k of a mask word: of one row, and from `blocks` on of the next.
fn block_of_two(row: vec2<u32>, next: vec2<u32>, blocks: u32, k: u32) -> vec2<u32> {
    return block_behind(select(next, row, k < blocks), select(k - blocks, k, k < blocks));
}

// Of one row, which has the whole word.
fn row_word(row: vec2<u32>, lane: u32) -> u32 {
    let low = keep_blocks(row, block_behind(row, 1u), block_behind(row, 2u), block_behind(row, 3u));
    let fifth = block_behind(row, 4u);
    return bits_from(low, keep_blocks(fifth, fifth, fifth, fifth), lane);
}

fn mask_word(word: u32) -> u32 {
    let innermost = dimension_at(DIMENSIONS - 1u);
    let size = innermost.size;
    // The dispatch may begin within a row.
    let element = innermost.start + 32u * word;
    let rows = element / size;
    let column = element - rows * size;
    let index = add_wide(index_after(rows, DIMENSIONS - 1u), vec2<u32>(column, 0u));
    let row = block_of(index);
    let lane = index.x & 7u;
    if WHOLE_WORDS {
        return row_word(row, lane);
    }
    // Elements and blocks of this row; the rest is the next one's. Both have seven at most.
    let count = min(size - column, 32u);
    let blocks = (lane + count + 7u) / 8u;
    let next_index = index_after(rows + 1u, DIMENSIONS - 1u);
    let next = block_of(next_index);
    let low = keep_blocks(
        row,
        block_of_two(row, next, blocks, 1u),
        block_of_two(row, next, blocks, 2u),
        block_of_two(row, next, blocks, 3u),
    );
    let seventh = block_of_two(row, next, blocks, 6u);
    let high = keep_blocks(
        block_of_two(row, next, blocks, 4u),
        block_of_two(row, next, blocks, 5u),
        seventh,
        seventh,
    );
    let next_bits = bits_from(low, high, 8u * blocks + (next_index.x & 7u));
    return insertBits(bits_from(low, high, lane), next_bits, count, 32u - count);
}
