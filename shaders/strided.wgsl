// The strided index map [M13]: any mask layout of up to eight dimensions. Needs DIMENSIONS
// (prelude), mul_wide, dimension_at (dimensions_*.wgsl), and sample_coordinate (sample_position.wgsl
// or sample_ids.wgsl).
struct Dimension {
    // Coordinates, below 2^31.
    size: u32,
    // Coordinate of the dispatch's first element.
    start: u32,
    // Mask indices from one coordinate to the next (low, high).
    stride: vec2<u32>,
}

fn add_wide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + u32(low < b.x));
}

// A mask index that is being summed up.
struct Sum {
    index: vec2<u32>,
    // Positions that the dimensions outside of those already counted still have to advance.
    carry: u32,
}

fn add_dimension(sum: Sum, d: u32) -> Sum {
    let dimension = dimension_at(d);
    var coordinate = dimension.start + sum.carry;
    var carry = 0u;
    if d == 0u {
        // The outermost dimension carries nothing.
        coordinate = sample_coordinate(coordinate);
    } else {
        // One division: software adapters do them lane by lane.
        carry = coordinate / dimension.size;
        coordinate -= carry * dimension.size;
    }
    var product = mul_wide(coordinate, dimension.stride.x);
    product.y += coordinate * dimension.stride.y;
    return Sum(add_wide(sum.index, product), carry);
}

// The mask index `steps` positions after the dispatch's first, where the outermost `count`
// dimensions are counted and the coordinates of the others are 0. `count` is known when the
// driver compiles; a loop that naga guards would stay a loop.
fn index_after(steps: u32, count: u32) -> vec2<u32> {
    let first = params.first_block;
    let index = vec2<u32>((first.x << 3u) | params.first_lane, (first.y << 3u) | (first.x >> 29u));
    var sum = Sum(index, steps);
    if count > 7u { sum = add_dimension(sum, 7u); }
    if count > 6u { sum = add_dimension(sum, 6u); }
    if count > 5u { sum = add_dimension(sum, 5u); }
    if count > 4u { sum = add_dimension(sum, 4u); }
    if count > 3u { sum = add_dimension(sum, 3u); }
    if count > 2u { sum = add_dimension(sum, 2u); }
    if count > 1u { sum = add_dimension(sum, 1u); }
    if count > 0u { sum = add_dimension(sum, 0u); }
    return sum.index;
}
