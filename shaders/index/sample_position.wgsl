// A sample's part of the index space is the one of its number in the batch.
const OUTERMOST: u32 = 8u - DIMENSIONS;

fn sample_coordinate(coordinate: u32) -> u32 {
    return coordinate;
}
