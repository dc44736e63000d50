// The second stage of a sum of columns. 16 invocations share a column: each adds the sums of every
// 16th tile, and a tree adds these 16 sums. On the CPU: src/cpu/columns.rs.
const CHAINS: u32 = WORKGROUP_SIZE / COLUMNS;

var<workgroup> chains: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn column_totals(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // Neighbouring invocations read neighbouring columns.
    let column = COLUMNS * workgroup.x + local % COLUMNS;
    let chain = local / COLUMNS;
    var sum = 0.0;
    if column < params.columns {
        for (var tile = chain; tile < params.tiles; tile += CHAINS) {
            sum += scratch[tile * params.columns + column];
        }
    }
    chains[local] = sum;
    for (var rest = CHAINS / 2u; rest > 0u; rest /= 2u) {
        workgroupBarrier();
        if chain < rest {
            chains[local] += chains[local + COLUMNS * rest];
        }
    }
    if chain == 0u && column < params.columns {
        let total = chains[local];
        if params.accumulate == 1u {
            sums[column] += total;
        } else {
            sums[column] = total;
        }
    }
}
