// A sample's mask indices depend on its id [M16], for kernels that bind ids and packed masks at the
// same binding.
const OUTERMOST: u32 = 0u;

fn sample_coordinate(coordinate: u32) -> u32 {
    return side[coordinate];
}
