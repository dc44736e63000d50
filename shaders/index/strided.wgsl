// The strided index map [M13]: any mask layout of up to eight dimensions. Needs DIMENSIONS
// (prelude), dropout_mul_wide, slot (dimensions_*.wgsl), and sample_coordinate and OUTERMOST
// (sample_position.wgsl or sample_ids.wgsl).
//
// Dimensions are in the last of eight slots, the innermost in the very last. Slots before them have
// one coordinate and stride 0. With sample ids, the samples' dimension is in slot 0 instead, and
// the unused slots are behind it.
struct Dimension {
    // Number of coordinates, below 2^31.
    size: u32,
    // Coordinate of the dispatch's first element.
    start: u32,
    // Mask indices from one coordinate to the next (low, high).
    stride: vec2<u32>,
    // The multiplier and the shift by which `divide` divides by `size`.
    multiplier: u32,
    shift: u32,
    // A uniform array has its elements at multiples of 16 bytes.
    padding: vec2<u32>,
}

// n / size without a division, for which a GPU needs 20 instructions or more. `multiplier` is 2^(31
// + shift) / size, rounded up (Granlund and Montgomery 1994). The result is exact for all positions
// within a dispatch. On the host: DimensionParams in src/plan/params.rs.
fn divide(n: u32, dimension: Dimension) -> u32 {
    let product = dropout_mul_wide(n, dimension.multiplier);
    return ((product.y << 1u) | (product.x >> 31u)) >> dimension.shift;
}

// A mask index while its dimensions are added up.
struct Sum {
    index: vec2<u32>,
    // Carry into the next outer dimension, as in mixed-radix addition.
    carry: u32,
}

// Dimension d of DIMENSIONS, counted from the outermost.
fn dimension_at(d: u32) -> Dimension {
    if d == 0u {
        return slot(OUTERMOST);
    }
    return slot(d + 8u - DIMENSIONS);
}

fn add_dimension(sum: Sum, d: u32) -> Sum {
    let dimension = dimension_at(d);
    // A kernel of eight dimensions also serves layouts of fewer, and skips the unused slots.
    if DIMENSIONS > 4u && d > 0u && dimension.size == 1u {
        return sum;
    }
    var coordinate = dimension.start + sum.carry;
    var carry = 0u;
    if d == 0u {
        // The outermost dimension has no next one to carry into.
        coordinate = sample_coordinate(coordinate);
    } else {
        carry = divide(coordinate, dimension);
        coordinate -= carry * dimension.size;
    }
    return Sum(dropout_index_after(sum.index, coordinate, dimension.stride), carry);
}

// The mask index `steps` positions after the dispatch's first. Only the outermost `count`
// dimensions are counted, and the coordinates of the others are 0. `count` is known when the driver
// compiles, so that it removes the other lines. It would not unroll a loop, since naga adds a guard
// to loops.
fn index_after(steps: u32, count: u32) -> vec2<u32> {
    var sum = Sum(dropout_first_index(params.mask), steps);
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

fn element_index(element: u32) -> vec2<u32> {
    return index_after(element, DIMENSIONS);
}

// The block of elements 8 n to 8 n + 7. Each row must begin and end at a block's bounds.
fn block_number(n: u32) -> vec2<u32> {
    return dropout_block_of(element_index(8u * n));
}
