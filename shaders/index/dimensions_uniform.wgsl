fn slot(i: u32) -> Dimension {
    return dimensions[i];
}
