// The strided index map [M13]: any mask layout of up to eight dimensions. Needs DIMENSIONS
// (prelude), dropout_mul_wide, slot (dimensions_*.wgsl), and sample_coordinate and OUTERMOST
// (sample_position.wgsl or sample_ids.wgsl).
//
// Dimensions lie in eight slots, the innermost in the last. Those in front of a layout of fewer have one
// coordinate and stride 0. With sample ids, the samples' dimension lies in slot 0 and these behind it.
struct Dimension {
    // Coordinates, below 2^31.
    size: u32,
    // Coordinate of the dispatch's first element.
    start: u32,
    // Mask indices from one coordinate to the next (low, high).
    stride: vec2<u32>,
    // Division by `size` (divide).
    multiplier: u32,
    shift: u32,
    // Elements of a uniform array lie at multiples of 16 bytes.
    padding: vec2<u32>,
}

// n / size without a division, which takes a GPU 20 instructions and more. `multiplier` is
// 2^(31 + shift) / size, rounded up (Granlund and Montgomery 1994): exact for the positions within a
// dispatch. On the host: DimensionParams in src/plan/params.rs.
fn divide(n: u32, dimension: Dimension) -> u32 {
    let product = dropout_mul_wide(n, dimension.multiplier);
    return ((product.y << 1u) | (product.x >> 31u)) >> dimension.shift;
}

// A mask index that is being summed up.
struct Sum {
    index: vec2<u32>,
    // Carry into the next outer dimension, as in mixed-radix addition.
    carry: u32,
}

// Dimension d of DIMENSIONS, the outermost first.
fn dimension_at(d: u32) -> Dimension {
    if d == 0u {
        return slot(OUTERMOST);
    }
    return slot(d + 8u - DIMENSIONS);
}

fn add_dimension(sum: Sum, d: u32) -> Sum {
    let dimension = dimension_at(d);
    // A kernel of eight dimensions serves layouts of fewer.
    if DIMENSIONS > 4u && d > 0u && dimension.size == 1u {
        return sum;
    }
    var coordinate = dimension.start + sum.carry;
    var carry = 0u;
    if d == 0u {
        // The outermost dimension carries nothing.
        coordinate = sample_coordinate(coordinate);
    } else {
        carry = divide(coordinate, dimension);
        coordinate -= carry * dimension.size;
    }
    return Sum(dropout_index_after(sum.index, coordinate, dimension.stride), carry);
}

// The mask index `steps` positions after the dispatch's first, where the outermost `count`
// dimensions are counted and the coordinates of the others are 0. `count` is known when the
// driver compiles; a loop that naga guards would stay a loop.
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

// The block of elements 8 n to 8 n + 7, where each row begins with a block and ends with one.
fn block_number(n: u32) -> vec2<u32> {
    return dropout_block_of(element_index(8u * n));
}
