// A sample's part of the index space is its place in the batch.
fn sample_coordinate(coordinate: u32) -> u32 {
    return coordinate;
}
