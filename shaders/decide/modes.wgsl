// The way in which decisions are made, for kernels that take it from parameters. It is in the lower
// three bits of `mode`.
const DECIDE_ALL_KEPT: u32 = 0u;
const DECIDE_ROWS: u32 = 1u;
const DECIDE_RUNS: u32 = 2u;
const DECIDE_SCATTERED: u32 = 3u;
const DECIDE_PACKED: u32 = 4u;
