// Consecutive mask indices: a word begins inside its first block and ends inside a fifth.
fn mask_word(word: u32) -> u32 {
    let n = 4u * word;
    let low = dropout_keep_blocks(
        params.mask,
        block_number(n),
        block_number(n + 1u),
        block_number(n + 2u),
        block_number(n + 3u),
    );
    let fifth = block_number(n + 4u);
    let high = dropout_keep_blocks(params.mask, fifth, fifth, fifth, fifth);
    return bits_from(low, high, params.mask.first_index_low & 7u);
}
