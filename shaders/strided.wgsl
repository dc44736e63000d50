// The strided index map [M13]: any mask layout of up to eight dimensions. Needs DIMENSIONS
// (prelude), mul_wide, and sample_coordinate (sample_position.wgsl or sample_ids.wgsl).
struct Dimension {
    // Coordinates, below 2^31.
    size: u32,
    // Coordinate of the dispatch's first element.
    start: u32,
    // Mask indices from one coordinate to the next (low, high).
    stride: vec2<u32>,
}

// Outermost first; the first DIMENSIONS count.
@group(0) @binding(2) var<uniform> dimensions: array<Dimension, 8>;

fn add_wide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + u32(low < b.x));
}

// The block of a mask index [M4].
fn block_of(index: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(index.x >> 3u | index.y << 29u, index.y >> 3u);
}

// The mask index `steps` positions after the dispatch's first, where the outermost `count`
// dimensions are counted and the coordinates of the others are 0.
fn index_after(steps: u32, count: u32) -> vec2<u32> {
    let first = params.first_block;
    var index = vec2<u32>(first.x << 3u | params.first_lane, first.y << 3u | first.x >> 29u);
    var carry = steps;
    for (var d = count; d > 0u; d--) {
        let dimension = dimensions[d - 1u];
        let position = dimension.start + carry;
        carry = position / dimension.size;
        var coordinate = position % dimension.size;
        if d == 1u {
            coordinate = sample_coordinate(coordinate);
        }
        var product = mul_wide(coordinate, dimension.stride.x);
        product.y += coordinate * dimension.stride.y;
        index = add_wide(index, product);
    }
    return index;
}
