// The rows of a workgroup. `params.lanes` invocations take the Words of a row in turn. If rows have
// an odd number of 16-bit elements, two rows share a Word, so invocations take such rows in pairs.
// An invocation reads again only what it wrote itself, so that storage needs no barrier. The order
// of additions is that of RowOrder in src/contract/norm.rs.

// The first element of the invocation's row, or of its two.
var<private> row_start: u32;
// The invocation's Words: every `params.lanes`-th one from `own_word` on, below `own_end`.
var<private> own_word: u32;
var<private> own_end: u32;

var<workgroup> lane_sums: array<Sums, WORKGROUP_SIZE>;

fn elements_at_once() -> u32 {
    return params.columns * select(1u, 2u, LANES == 2u && params.columns % 2u == 1u);
}

fn begin_rows(local: u32, workgroup: u32) {
    let count = elements_at_once();
    let rows = WORKGROUP_SIZE / params.lanes;
    row_start = (workgroup * rows + local / params.lanes) * count;
    own_word = row_start / LANES + local % params.lanes;
    own_end = (min(row_start + count, params.len) + LANES - 1u) / LANES;
}

// Returns true if a Word has upper halves. The last Word of an odd length of 16-bit elements has
// none.
fn has_upper(word: u32) -> bool {
    return ELEMENT_BITS == 0xffffu && (LANES > 2u || LANES * word + 1u < params.len);
}

// The total of the sums that the invocations of a row have.
fn total(own: Sums, local: u32) -> Sums {
    let lane = local % params.lanes;
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
