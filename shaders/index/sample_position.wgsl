// A sample's mask indices depend on its position in the batch.
const OUTERMOST: u32 = 8u - DIMENSIONS;

fn sample_coordinate(coordinate: u32) -> u32 {
    return coordinate;
}
