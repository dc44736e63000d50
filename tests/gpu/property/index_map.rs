//! Random layouts, and the indices that their definition gives.

use std::ops::Range;

use proptest::prelude::*;
use wgpu_dropout::{LayoutError, MaskLayout};

/// The most elements of a tensor that is not linear.
pub const MAX_ELEMENTS: u64 = 6000;

/// A layout, and the shape, strides and first index that it must have [M13].
#[derive(Clone, Debug)]
pub struct IndexMap {
    pub layout: MaskLayout,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
    pub first: u64,
}

/// A constructor, the fewest dimensions it takes, and a function of axis and rank: true if the axis
/// has decisions of its own.
type Named = (
    fn(&[u64]) -> Result<MaskLayout, LayoutError>,
    usize,
    fn(usize, usize) -> bool,
);

const NAMED: [Named; 6] = [
    (MaskLayout::elementwise, 1, |_, _| true),
    (MaskLayout::feature_channels_first, 2, |axis, _| axis < 2),
    (MaskLayout::feature_channels_last, 2, |axis, rank| {
        axis == 0 || axis == rank - 1
    }),
    (MaskLayout::time_locked_batch_first, 2, |axis, _| axis != 1),
    (MaskLayout::time_locked_time_first, 2, |axis, _| axis != 0),
    (MaskLayout::drop_path, 1, |axis, _| axis == 0),
];

/// A random layout: a constructor or strides, then a view, a shard and an offset. It has at most
/// `samples` samples, and room for ids up to `max_id`.
pub fn index_map(samples: u64, max_id: Option<u64>) -> BoxedStrategy<IndexMap> {
    let size = prop_oneof![6 => 1_u64..5, 1 => Just(8_u64), 1 => 60_u64..140].boxed();
    let outer = prop_oneof![
        2 => prop::collection::vec(size.clone(), 0..3),
        1 => prop::collection::vec(size, 3..MaskLayout::MAX_DIMENSIONS),
    ];
    let inner = prop_oneof![2 => 1_u64..20, 1 => 33_u64..200, 1 => prop::sample::select(vec![8, 32, 64, 1024])];
    let shape = (outer.boxed(), inner.boxed());
    let stride = prop_oneof![
        1 => Just(0),
        2 => Just(1),
        2 => 0_u64..100,
        2 => (0_u64..100).prop_map(|blocks| 8 * blocks),
        2 => (any::<u64>(), 0..64).prop_map(|(any, shift)| any >> shift),
    ];
    let strides = prop::collection::vec(stride.boxed(), MaskLayout::MAX_DIMENSIONS);
    let base = prop::option::weighted(0.5, prop::sample::select(&NAMED[..]));
    let keys = any::<[u8; MaskLayout::MAX_DIMENSIONS]>();
    let ends = any::<[(u64, u64); MaskLayout::MAX_DIMENSIONS]>();
    let (order, part) = (
        prop::option::weighted(0.3, keys),
        prop::option::weighted(0.3, ends),
    );
    let offset = prop::option::weighted(0.2, any::<u64>());
    (shape, strides, base, order, part, offset)
        .prop_map(
            move |((mut shape, inner), strides, base, order, part, offset)| {
                shape.push(inner);
                let mut room = MAX_ELEMENTS;
                for size in shape.iter_mut().rev() {
                    *size = (*size).min(room).min(samples);
                    room /= *size;
                }
                let mut map = match base {
                    Some((layout, min_rank, is_own)) if shape.len() >= min_rank => {
                        IndexMap::named(&shape, layout, is_own)
                    }
                    _ => IndexMap::strided(&shape, &strides, max_id.unwrap_or(0)),
                };
                if let Some(keys) = order {
                    map = map.permuted(&keys);
                }
                if let Some(ends) = part {
                    map = map.part(&ends);
                }
                map.offset(offset.unwrap_or(0), max_id)
            },
        )
        .boxed()
}

impl IndexMap {
    fn named(
        shape: &[u64],
        layout: fn(&[u64]) -> Result<MaskLayout, LayoutError>,
        is_own: fn(usize, usize) -> bool,
    ) -> Self {
        let own = |axis: &usize| is_own(*axis, shape.len());
        let step = |axis: usize| match own(&axis) {
            true => (axis + 1..shape.len())
                .filter(own)
                .map(|inner| shape[inner])
                .product(),
            false => 0,
        };
        Self {
            layout: layout(shape).expect("a layout"),
            shape: shape.to_vec(),
            strides: (0..shape.len()).map(step).collect(),
            first: 0,
        }
    }

    /// A layout with these strides, which are lowered until no index passes 2^64 - 1, whichever
    /// dimension holds the samples and whatever shard is taken.
    fn strided(shape: &[u64], strides: &[u64], max_id: u64) -> Self {
        let mut room = u64::MAX;
        let fitting = |(&stride, &size): (&u64, &u64)| {
            let steps = max_id + size;
            let stride = stride.min(room / steps);
            room -= stride * steps;
            stride
        };
        let strides: Vec<_> = strides.iter().zip(shape).map(fitting).collect();
        Self {
            layout: MaskLayout::strided(shape, &strides).expect("a layout"),
            shape: shape.to_vec(),
            strides,
            first: 0,
        }
    }

    /// The dimensions in the order of their sort keys.
    fn permuted(&self, keys: &[u8]) -> Self {
        let mut order: Vec<usize> = (0..self.shape.len()).collect();
        order.sort_by_key(|&axis| keys[axis]);
        Self {
            layout: self.layout.permuted(&order).expect("a view"),
            shape: order.iter().map(|&axis| self.shape[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            first: self.first,
        }
    }

    /// The shard between two coordinates in each dimension.
    fn part(&self, ends: &[(u64, u64)]) -> Self {
        let range = |(&size, &(a, b)): (&u64, &(u64, u64))| {
            let (a, b) = (a % size, b % size);
            a.min(b)..a.max(b) + 1
        };
        let ranges: Vec<Range<u64>> = self.shape.iter().zip(ends).map(range).collect();
        let start: Vec<u64> = ranges.iter().map(|range| range.start).collect();
        let shape: Vec<u64> = ranges.iter().map(|range| range.end - range.start).collect();
        let steps = start
            .iter()
            .zip(&self.strides)
            .map(|(start, stride)| start * stride);
        Self {
            layout: self.layout.shard(&start, &shape).expect("a shard"),
            shape,
            strides: self.strides.clone(),
            first: self.first + steps.sum::<u64>(),
        }
    }

    /// Moves the layout by `offset`, or by as much as there is room for.
    fn offset(self, offset: u64, max_id: Option<u64>) -> Self {
        let offset = offset.min(u64::MAX - self.last(max_id));
        Self {
            layout: self.layout.offset(offset).expect("an offset"),
            first: self.first + offset,
            ..self
        }
    }

    /// The largest index if the outermost coordinate may be as large as `max_id`.
    pub fn last(&self, max_id: Option<u64>) -> u64 {
        let ends = self.shape.iter().map(|size| size - 1);
        let mut steps = self.strides.iter().zip(ends);
        let outermost = steps
            .next()
            .map(|(stride, end)| stride * max_id.unwrap_or(end));
        let rest = steps.map(|(stride, end)| stride * end);
        self.first + outermost.into_iter().chain(rest).sum::<u64>()
    }
}
