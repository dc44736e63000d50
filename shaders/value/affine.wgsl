// Alpha dropout [M17]: an adapter may fuse product and sum, so values have a bound; masks are exact.
// Selected by bits [M12].
fn drop(x: Float, keep: Keep, element: u32, half: u32) -> Float {
    let kept = x * params.mask.keep_scale + params.mask.keep_shift;
    let dropped = Float(params.mask.dropped_value);
    return bitcast<Float>(select(bitcast<Word>(dropped), bitcast<Word>(kept), keep));
}
