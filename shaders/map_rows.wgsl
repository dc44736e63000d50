// Consecutive mask indices along the innermost dimension, a row of 32 elements and more; any
// strides along the others.

// The block of elements 8 n to 8 n + 7, where each row begins with a block and ends with one.
fn block_number(n: u32) -> vec2<u32> {
    return block_of(index_after(8u * n, DIMENSIONS));
}

// A mask word that is being put together.
struct Word32 {
    bits: u32,
    // How many bits there are already.
    count: u32,
    // The mask index (low, high) of the next one, and what is left of its row.
    index: vec2<u32>,
    left: u32,
}

// Adds what is left of one row and of one block. `next` is the next row's first index.
fn add_block(word: Word32, next: vec2<u32>) -> Word32 {
    let lane = word.index.x & 7u;
    let block = keep_bits(keep_block(block_of(word.index))) >> lane;
    let count = min(min(8u - lane, word.left), 32u - word.count);
    let bits = word.bits | ((block & ((1u << count) - 1u)) << (word.count & 31u));
    let ended = count == word.left;
    let index = add_wide(word.index, vec2<u32>(count, 0u));
    return Word32(bits, word.count + count, select(index, next, ended), select(word.left - count, 32u, ended));
}

// A word has parts of at most five blocks of one row, or of seven of two. Straight code, since
// software adapters need about twice the time for a loop, and run its body at least once.
fn mask_word(n: u32) -> u32 {
    let row = dimensions[DIMENSIONS - 1u];
    // The dispatch may begin within a row.
    let element = row.start + 32u * n;
    let rows = element / row.size;
    let column = element - rows * row.size;
    let index = add_wide(index_after(rows, DIMENSIONS - 1u), vec2<u32>(column, 0u));
    let next = index_after(rows + 1u, DIMENSIONS - 1u);
    var word = Word32(0u, 0u, index, row.size - column);
    word = add_block(word, next);
    word = add_block(word, next);
    word = add_block(word, next);
    word = add_block(word, next);
    word = add_block(word, next);
    if !WHOLE_WORDS {
        loop {
            word = add_block(word, next);
            continuing {
                break if word.count == 32u;
            }
        }
    }
    return word.bits;
}
