// A sample's part of the index space is its id's [M16], wherever ids and packed masks share a binding.
const OUTERMOST: u32 = 0u;

fn sample_coordinate(coordinate: u32) -> u32 {
    return side[coordinate];
}
