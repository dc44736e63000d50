// Parameters of a dispatch of a sum of columns. ColumnParams in src/plan/params.rs has this layout.
struct Params {
    // These fields up to `first_block` are those of params/mask.wgsl. Sums of stored elements do
    // not use it.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    columns: u32,
    // Number of rows in this dispatch, and the tile that begins with the first of them.
    rows: u32,
    first_tile: u32,
    // Number of tiles of the whole matrix.
    tiles: u32,
    // Length of the bias, and the position in it for the dispatch's first element.
    bias_len: u32,
    bias_start: u32,
    // 1 if the totals are added to the content of `sums`.
    accumulate: u32,
    padding: u32,
}
