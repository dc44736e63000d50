// One decision along the innermost dimension, a run; any strides along the others.
fn keep_at(block: u32) -> KeepBlock {
    let keep = vec4<bool>(keep_index(index_after(8u * block, DIMENSIONS)));
    return KeepBlock(keep, keep);
}

// An invocation takes eight elements of one run.
fn work_at(invocation: u32) -> Work {
    let run = dimensions[DIMENSIONS - 1u];
    let pieces = (run.size + 7u) / 8u;
    // The dispatch may begin within a run.
    let number = invocation + run.start / 8u;
    let runs = number / pieces;
    let column = 8u * (number - runs * pieces);
    let keep = vec4<bool>(keep_index(index_after(runs, DIMENSIONS - 1u)));
    return Work(runs * run.size - run.start + column, column, run.size, KeepBlock(keep, keep));
}
