// Alpha dropout: an adapter may fuse product and sum, so values have a bound, masks none.
fn value(bits: Word, keep: Keep) -> Word {
    let kept = bitcast<Float>(bits) * params.keep_scale + params.keep_shift;
    return select(bitcast<Word>(Float(params.dropped_value)), bitcast<Word>(kept), keep);
}
