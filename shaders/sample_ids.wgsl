// A sample's part of the index space is its id's, wherever it stands in the batch.
@group(0) @binding(3) var<storage, read> sample_ids: array<u32>;

fn sample_coordinate(coordinate: u32) -> u32 {
    return sample_ids[coordinate];
}
