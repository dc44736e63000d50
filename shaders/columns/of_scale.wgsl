// The terms of a scale's gradient [M23]: the gradient of a kept element, times the factor, times
// the branch before its scale.

// The most mask words that 256 elements in a row can span.
const ROW_WORDS: u32 = 9u;

// The decisions of each row's part of the tile.
var<workgroup> keep_words: array<u32, ROW_WORDS * TILE_ROWS>;

// The mask word that has the first element of a workgroup's columns in a row of this dispatch.
fn first_word_of(row: u32, first_column: u32) -> u32 {
    return (row * params.columns + first_column) / 32u;
}

fn draw(first_row: u32, rows: u32, first_column: u32, local: u32) {
    for (var i = local; i < ROW_WORDS * rows; i += WORKGROUP_SIZE) {
        let word = first_word_of(first_row + i / ROW_WORDS, first_column) + i % ROW_WORDS;
        if 32u * word < params.len {
            keep_words[i] = mask_word(word);
        }
    }
    workgroupBarrier();
}

fn term(element: u32, row: u32, first_column: u32) -> f32 {
    let place = element / 32u - first_word_of(row, first_column);
    let keep = keep_words[ROW_WORDS * (row % TILE_ROWS) + place] >> (element & 31u);
    let product = gradient_of(element) * params.mask.keep_scale * biased(decode(input_bits(element)), element);
    return bitcast<f32>(select(0u, bitcast<u32>(product), (keep & 1u) == 1u));
}
