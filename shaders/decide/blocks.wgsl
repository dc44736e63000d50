// Decisions by whole blocks: elements 8 n to 8 n + 7 are one block.
fn keep_of_blocks(a: u32, b: u32, c: u32, d: u32) -> u32 {
    return dropout_keep_blocks(
        params.mask,
        block_number(a),
        block_number(b),
        block_number(c),
        block_number(d),
    );
}
