// Decisions for any layout by a loop. Each turn makes as many decisions as one block and one
// position of the layout allow: up to eight in a row, a whole run, or one for any other stride.
// rows.wgsl, runs.wgsl and scattered.wgsl do the same in straight code. All three in one kernel
// would take drivers five times as long to compile.
fn drawn_word(word: u32, mode: u32) -> u32 {
    let innermost = dimension_at(DIMENSIONS - 1u);
    var bits = 0u;
    var i = 0u;
    loop {
        let element = 32u * word + i;
        let position = innermost.start + element;
        let left = innermost.size - (position - divide(position, innermost) * innermost.size);
        let index = element_index(element);
        let lane = index.x & 7u;
        let lanes = dropout_keep_8(params.mask, dropout_block_of(index)) >> lane;
        // All elements of a run have the decision of one.
        let part = select(0u - (lanes & 1u), lanes, mode == DECIDE_ROWS);
        var count = 1u;
        if mode == DECIDE_ROWS {
            count = min(left, 8u - lane);
        }
        if mode == DECIDE_RUNS {
            count = left;
        }
        count = min(count, 32u - i);
        bits = insertBits(bits, part, i, count);
        i += count;
        continuing {
            break if i >= 32u;
        }
    }
    return bits;
}
