fn slot(i: u32) -> Dimension {
    return params.dimensions[i];
}
