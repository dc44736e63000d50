// Consecutive mask indices: element e has that of the dispatch's first element plus e.

// The block of elements 8 n to 8 n + 7, where the first element is a block's first.
fn block_number(n: u32) -> vec2<u32> {
    return block_at(n);
}

// Begins inside its first block and ends inside a fifth.
fn mask_word(word: u32) -> u32 {
    let n = 4u * word;
    let low = keep_blocks(block_at(n), block_at(n + 1u), block_at(n + 2u), block_at(n + 3u));
    let fifth = block_at(n + 4u);
    return bits_from(low, keep_blocks(fifth, fifth, fifth, fifth), params.first_lane);
}
