// Alpha dropout: an adapter may fuse product and sum, so values have a bound, masks none.
fn value(bits: Word, keep: Keep) -> Word {
    let kept = decode(bits) * params.keep_scale + params.keep_shift;
    return select(encode(Float(params.dropped_value)), encode(kept), keep);
}
