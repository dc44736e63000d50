//! The mask index of an element \[M13\].

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::launch::PartDimension;

use super::mask::Mask;
use super::philox::{Wide, wide};

/// One dimension of a layout, with the fields of [`PartDimension`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Dimension {
    pub size: u32,
    pub start: u32,
    pub stride: Wide,
    pub multiplier: u32,
    pub shift: u32,
}

/// The dimensions of a part, as an argument of a kernel.
pub(crate) fn dimensions(dimensions: &[PartDimension]) -> SequenceArg<Dimension> {
    dimensions
        .iter()
        .map(|dimension| {
            DimensionLaunch::new(
                dimension.size,
                dimension.start,
                wide(dimension.stride),
                dimension.multiplier,
                dimension.shift,
            )
        })
        .collect()
}

#[cube]
pub(crate) fn add(a: Wide, b: Wide) -> Wide {
    let low = a.low + b.low;
    Wide {
        low,
        high: a.high + b.high + u32::cast_from(low < b.low),
    }
}

/// `number` plus `steps`, for a mask index or the number of a block.
#[cube]
pub(crate) fn advance(number: Wide, steps: u32) -> Wide {
    let low = number.low + steps;
    Wide {
        low,
        high: number.high + u32::cast_from(low < steps),
    }
}

/// `n / size` without a division.
#[cube]
pub(crate) fn divide(n: u32, dimension: &Dimension) -> u32 {
    let high = u32::mul_hi(n, dimension.multiplier);
    let low = n * dimension.multiplier;
    ((high << 1u32) | (low >> 31u32)) >> dimension.shift
}

/// The mask index of the element `element` of a part.
#[cube]
pub(crate) fn element_index(mask: &Mask, dimensions: &Sequence<Dimension>, element: u32) -> Wide {
    let count = comptime!(dimensions.len());
    if comptime!(count == 0) {
        advance(mask.first_index, element)
    } else {
        index_after(mask.first_index, dimensions, element, count)
    }
}

/// Adds to `index` the coordinates in the outermost `count` dimensions, each multiplied by its
/// stride. The coordinates are those of the position `steps` after the part's first one. Positions
/// number all coordinates in these dimensions, in row-major order.
#[cube]
fn index_after(
    index: Wide,
    dimensions: &Sequence<Dimension>,
    steps: u32,
    #[comptime] count: usize,
) -> Wide {
    let dimension = dimensions.index(comptime!(count - 1));
    let position = dimension.start + steps;
    if comptime!(count == 1) {
        // The outermost dimension has no next one to carry into.
        after(index, position, dimension.stride)
    } else {
        let carry = divide(position, dimension);
        let coordinate = position - carry * dimension.size;
        let index = after(index, coordinate, dimension.stride);
        index_after(index, dimensions, carry, comptime!(count - 1))
    }
}

/// `index` plus `coordinate` strides.
#[cube]
fn after(index: Wide, coordinate: u32, stride: Wide) -> Wide {
    let product = Wide {
        low: coordinate * stride.low,
        high: u32::mul_hi(coordinate, stride.low) + coordinate * stride.high,
    };
    add(index, product)
}

/// The number of elements from `element` to the end of its row or run.
#[cube]
pub(crate) fn left_in_row(dimensions: &Sequence<Dimension>, element: u32) -> u32 {
    let count = comptime!(dimensions.len());
    if comptime!(count == 0) {
        u32::MAX.runtime()
    } else {
        let innermost = dimensions.index(comptime!(count - 1));
        let position = innermost.start + element;
        (divide(position, innermost) + 1u32) * innermost.size - position
    }
}
