// A sample's mask indices depend on its id, not on its position in the batch [M16].
const OUTERMOST: u32 = 0u;

fn sample_coordinate(coordinate: u32) -> u32 {
    return sample_ids[coordinate];
}
