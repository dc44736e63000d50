// A sample's part of the index space is its id's, wherever it stands in the batch [M16].
const OUTERMOST: u32 = 0u;

fn sample_coordinate(coordinate: u32) -> u32 {
    return sample_ids[coordinate];
}
