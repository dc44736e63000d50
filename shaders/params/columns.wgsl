// Parameters of a dispatch of a sum of columns. ColumnParams in src/plan/params.rs has this layout.
struct Params {
    // As in params/mask.wgsl; unused by sums of what is stored.
    @align(16) mask: DropoutMask,
    len: u32,
    first_word: u32,
    first_block: vec2<u32>,
    columns: u32,
    // Rows in this dispatch, the first of which begins this tile.
    rows: u32,
    first_tile: u32,
    // Tiles of the whole matrix.
    tiles: u32,
    // Numbers of the bias, and the one of the dispatch's first element.
    bias_len: u32,
    bias_start: u32,
    // 1 if the totals are added to what stands in `sums`.
    accumulate: u32,
    padding: u32,
}
