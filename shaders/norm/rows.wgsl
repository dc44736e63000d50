// The rows of a workgroup. `params.lanes` invocations take the Words of a row in turn. If rows have
// an odd number of 16-bit elements, two rows share a Word, so invocations take such rows in pairs.
// An invocation reads again only what it wrote itself, so that storage needs no barrier. The order
// of additions is that of RowOrder in src/contract/norm.rs.

// The number of the invocation's row, or of the first of its two, and that row's first element.
var<private> own_row: u32;
var<private> row_start: u32;
// The invocation's Words: every `params.lanes`-th one from `own_word` on, below `own_end`.
var<private> own_word: u32;
var<private> own_end: u32;

var<workgroup> lane_sums: array<Sums, WORKGROUP_SIZE>;

fn rows_at_once() -> u32 {
    return select(1u, 2u, LANES == 2u && params.columns % 2u == 1u);
}

fn elements_at_once() -> u32 {
    return params.columns * rows_at_once();
}

// The rows, or pairs of rows, of a workgroup. `params.lanes` is a power of two.
fn units() -> u32 {
    return WORKGROUP_SIZE >> firstTrailingBit(params.lanes);
}

fn lane_of(local: u32) -> u32 {
    return local & (params.lanes - 1u);
}

fn begin_rows(local: u32, workgroup: u32) {
    own_row = workgroup * units() + (local >> firstTrailingBit(params.lanes));
    own_row *= rows_at_once();
    row_start = own_row * params.columns;
    own_word = row_start / LANES + lane_of(local);
    own_end = (min(row_start + elements_at_once(), params.len) + LANES - 1u) / LANES;
}

// The total of the sums that the invocations of a row have.
fn total(own: Sums, local: u32) -> Sums {
    let lane = lane_of(local);
    // Wait until all invocations have read the totals of the previous call.
    workgroupBarrier();
    lane_sums[local] = own;
    workgroupBarrier();
    if lane < 16u {
        var sum = own;
        for (var other = lane + 16u; other < params.lanes; other += 16u) {
            sum += lane_sums[local + other - lane];
        }
        lane_sums[local] = sum;
    }
    workgroupBarrier();
    // One invocation adds them for all. A barrier costs less than a loop in every invocation.
    if lane == 0u {
        var sum = lane_sums[local];
        for (var chain = 1u; chain < min(params.lanes, 16u); chain++) {
            sum += lane_sums[local + chain];
        }
        lane_sums[local] = sum;
    }
    workgroupBarrier();
    return lane_sums[local - lane];
}
