// The rows of a workgroup. `params.lanes` invocations take the Words of a row in turn; rows of an odd number of 16-bit
// elements share a Word, and are taken two at a time. An invocation reads again what it wrote itself and nothing else,
// so that storage needs no barrier. The order of additions is RowOrder's in src/contract/norm.rs.

// The first element of the invocation's row, or of its two.
var<private> row_start: u32;
// The invocation's Words: each `params.lanes`-th from the first on, below the end.
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

// Returns true if a Word has upper halves. The last Word of an odd length of 16-bit elements has none.
fn has_upper(word: u32) -> bool {
    return ELEMENT_BITS == 0xffffu && (LANES > 2u || LANES * word + 1u < params.len);
}

// The sums of a row's invocations.
fn total(own: Sums, local: u32) -> Sums {
    let lane = local % params.lanes;
    // The last sums have been read.
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
    // One adds them for all: a barrier costs less than a loop of each.
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
