// Consecutive mask indices: element e has that of the dispatch's first element plus e.

// The block of elements 8 n to 8 n + 7, where the first element is a block's first.
fn block_number(n: u32) -> vec2<u32> {
    return block_at(n);
}

fn block_bits(n: u32) -> u32 {
    return keep_bits(keep_block(block_at(n)));
}

fn mask_word(word: u32) -> u32 {
    let n = 4u * word;
    let lane = params.first_lane;
    var bits = block_bits(n) >> lane;
    bits |= block_bits(n + 1u) << (8u - lane);
    bits |= block_bits(n + 2u) << (16u - lane);
    bits |= block_bits(n + 3u) << (24u - lane);
    bits |= (block_bits(n + 4u) << (31u - lane)) << 1u;
    return bits;
}
