// Alpha dropout [M17]. An adapter may fuse product and sum, so values are within a bound, while
// masks are exact. The selection is on bits [M12].
fn drop(x: Float, keep: Keep, element: u32, half: u32) -> Float {
    let kept = x * params.mask.keep_scale + params.mask.keep_shift;
    let dropped = Float(params.mask.dropped_value);
    return bitcast<Float>(select(bitcast<Word>(dropped), bitcast<Word>(kept), keep));
}
