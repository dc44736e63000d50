// What the maps (map_*.wgsl) tell the entry points (dropout_*.wgsl).

// The decisions of eight elements: of lanes 0, 2, 4, 6 and of lanes 1, 3, 5, 7 of a block, which
// are the low and the high halves of its words [M6].
struct KeepBlock {
    even: vec4<bool>,
    odd: vec4<bool>,
}

// Up to eight elements in a row; those before the first or behind the last are none of it.
struct Work {
    // Number of the first one in the dispatch and in its row; before 0 they wrap.
    element: u32,
    column: u32,
    // Elements of the row.
    columns: u32,
    keep: KeepBlock,
}
