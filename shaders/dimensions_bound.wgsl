// Outermost first; the first DIMENSIONS count.
fn dimension_at(d: u32) -> Dimension {
    return params.tail[d];
}
