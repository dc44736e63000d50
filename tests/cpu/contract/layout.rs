//! `MaskLayout`: the strides that each constructor makes, and what each refuses.

use proptest::prelude::*;
use wgpu_dropout::{DimensionList, IndexOverflow, LayoutError, MaskLayout};

use crate::common::inputs::{call, sample_indices};
use crate::common::layers::BATCHES;
use crate::common::reference;

type Made = Result<MaskLayout, LayoutError>;

/// `made` is `expected`, an error with this message.
#[track_caller]
fn refused(made: Made, expected: LayoutError, message: &str) {
    assert_eq!(expected.to_string(), message);
    assert_eq!(made, Err(expected));
}

/// 2^32. A square with this side has as many elements as there are mask indices.
const SIDE: u64 = 1 << 32;

#[test]
fn constructors_have_the_noise_shapes_row_major_strides() {
    use MaskLayout as L;
    for (made, strides) in [
        (L::elementwise(&[2, 6, 5, 7]), &[210, 35, 7, 1][..]),
        (L::elementwise(&[]), &[]),
        (L::feature_channels_first(&[2, 6]), &[6, 1]),
        (L::feature_channels_first(&[2, 6, 5]), &[6, 1, 0]),
        (L::feature_channels_first(&[2, 6, 5, 7]), &[6, 1, 0, 0]),
        (
            L::feature_channels_first(&[2, 6, 5, 7, 3]),
            &[6, 1, 0, 0, 0],
        ),
        (L::feature_channels_last(&[2, 6]), &[6, 1]),
        (L::feature_channels_last(&[2, 5, 6]), &[6, 0, 1]),
        (L::feature_channels_last(&[2, 5, 7, 6]), &[6, 0, 0, 1]),
        (L::time_locked_batch_first(&[3, 9, 20]), &[20, 0, 1]),
        (L::time_locked_batch_first(&[3, 9]), &[1, 0]),
        (L::time_locked_batch_first(&[3, 9, 4, 5]), &[20, 0, 5, 1]),
        (L::time_locked_time_first(&[9, 3, 20]), &[0, 20, 1]),
        (L::drop_path(&[16, 3, 11]), &[1, 0, 0]),
        (L::drop_path(&[16]), &[1]),
        (
            L::noise_shape(&[4, 6, 10], &[Some(4), Some(1), None]),
            &[10, 0, 1],
        ),
        (L::noise_shape(&[4, 6, 10], &[None, Some(1)]), &[0, 1, 0]),
        (L::noise_shape(&[4, 6, 10], &[]), &[0, 0, 0]),
        // A dimension of size 1 keeps its stride: a sample id may multiply it by any number [M16].
        // Only a stride of 0 means that decisions are shared.
        (L::elementwise(&[1, 24]), &[24, 1]),
        (L::elementwise(&[4, 1, 10]), &[10, 10, 1]),
        (L::elementwise(&[1]), &[1]),
        (L::noise_shape(&[1, 24], &[None]), &[0, 1]),
        (
            L::noise_shape(&[1, 4, 8], &[Some(1), Some(1), None]),
            &[0, 0, 1],
        ),
        (L::noise_shape(&[1, 4, 1], &[Some(1); 3]), &[0, 0, 0]),
        (L::time_locked_time_first(&[1, 3, 20]), &[0, 20, 1]),
        (L::strided(&[2, 2], &[7, 3]), &[7, 3]),
    ] {
        let layout = made.unwrap();
        assert_eq!(layout.strides(), strides);
        assert_eq!(layout.first_index(), 0);
    }
}

/// A sample id may be any number [M16], so a batch of one needs the stride too.
#[test]
fn a_batch_of_one_has_the_strides_of_many() {
    for (name, batch) in BATCHES {
        let [one, two, many] = [1, 2, 37].map(|samples| batch(samples).unwrap());
        assert_eq!(one.strides(), two.strides(), "{name}");
        assert_eq!(one.strides(), many.strides(), "{name}");
        let shard = many.shard(&[36, 0, 0], one.shape()).unwrap();
        assert_eq!(one.strides(), shard.strides(), "{name}");
    }
}

/// The strides under another rule: a size of 1 in the noise shape always shares decisions, except
/// as the first dimension of a batch of one.
fn strides_by_size(shape: &[u64], noise: &[u64]) -> Vec<u64> {
    let stride = |axis: usize| match (noise[axis], (axis, shape[axis])) {
        (1, (0, 1)) => noise[1..].iter().product(),
        (1, _) => 0,
        _ => noise[axis + 1..].iter().map(|&size| size.max(1)).product(),
    };
    (0..shape.len()).map(stride).collect()
}

proptest! {
    /// With that other rule only strides of dimensions of size 1 differ. No mask differs, except
    /// that of a sample id in a batch of one.
    #[test]
    fn own_and_shared_sizes_of_one_change_no_mask(
        axes in prop::collection::vec((0_u64..4, any::<[bool; 2]>()), 2..=6),
        ids in prop::collection::vec(any::<u32>(), 3),
    ) {
        use MaskLayout as L;
        let shape: Vec<u64> = axes.iter().map(|(size, _)| *size).collect();
        let noise: Vec<Option<u64>> = axes
            .iter()
            .map(|&(size, [shared, by_size])| match (shared, by_size && size != 1) {
                (true, _) => Some(1),
                (false, true) => Some(size),
                (false, false) => None,
            })
            .collect();
        let last = shape.len() - 1;
        let shared = |keep: &dyn Fn(usize) -> bool| -> Vec<u64> {
            (0..=last).map(|axis| if keep(axis) { shape[axis] } else { 1 }).collect()
        };
        for (made, noise) in [
            (L::elementwise(&shape), shared(&|_| true)),
            (L::noise_shape(&shape, &noise), shared(&|axis| !axes[axis].1[0])),
            (L::feature_channels_first(&shape), shared(&|axis| axis < 2)),
            (L::feature_channels_last(&shape), shared(&|axis| axis == 0 || axis == last)),
            (L::time_locked_batch_first(&shape), shared(&|axis| axis != 1)),
            (L::time_locked_time_first(&shape), shared(&|axis| axis != 0)),
            (L::drop_path(&shape), shared(&|axis| axis == 0)),
        ] {
            let new = made.unwrap();
            let old = L::strided(&shape, &strides_by_size(&shape, &noise)).unwrap();
            for axis in (0..=last).filter(|&axis| shape[axis] != 1) {
                prop_assert_eq!(new.strides()[axis], old.strides()[axis]);
            }
            let indices = reference::indices(&shape, old.strides(), 0);
            let got: Vec<u64> = (0..new.len()).map(|element| new.index(element)).collect();
            prop_assert_eq!(got, indices);
            prop_assert_eq!(new.last_index(), old.last_index());
            if shape[0] > 1 {
                let ids = &ids[..shape[0] as usize];
                let call = call(0.5, 0);
                prop_assert_eq!(
                    sample_indices(&call, &new, ids),
                    sample_indices(&call, &old, ids)
                );
            }
        }
    }
}

#[test]
fn what_a_layout_tells() {
    let layout = MaskLayout::strided(&[2, 3], &[100, 10]).unwrap();
    let layout = layout.offset(5).unwrap().offset(2).unwrap();
    assert_eq!(
        (layout.shape(), layout.strides()),
        (&[2, 3][..], &[100, 10][..])
    );
    assert_eq!((layout.first_index(), layout.last_index()), (7, Some(127)));
    assert_eq!((layout.len(), layout.is_empty()), (6, false));
    let indices: Vec<u64> = (0..6).map(|element| layout.index(element)).collect();
    assert_eq!(indices, [7, 17, 27, 107, 117, 127]);

    let one = MaskLayout::elementwise(&[]).unwrap();
    assert_eq!(
        (one.len(), one.is_empty(), one.last_index()),
        (1, false, Some(0))
    );
    assert_eq!(one.index(0), 0);

    let long = MaskLayout::strided(&[SIDE, SIDE, 2], &[0, 0, 0]).unwrap();
    assert_eq!(long.len(), u64::MAX);
}

#[test]
fn zero_sized_dimensions_are_fine() {
    for shape in [&[0][..], &[0, 3], &[3, 0], &[2, 0, 3], &[0, 0]] {
        let layout = MaskLayout::elementwise(shape).unwrap();
        assert_eq!(
            (layout.len(), layout.is_empty(), layout.last_index()),
            (0, true, None)
        );
        MaskLayout::drop_path(shape).unwrap();
        MaskLayout::noise_shape(shape, &vec![Some(1); shape.len()]).unwrap();
        let same: Vec<_> = shape.iter().copied().map(Some).collect();
        MaskLayout::noise_shape(shape, &same).unwrap();
    }
    MaskLayout::feature_channels_first(&[0, 3, 4]).unwrap();
    MaskLayout::time_locked_time_first(&[5, 0, 4]).unwrap();
    // A layout without elements has no index, so none can be too large.
    MaskLayout::strided(&[0, 3], &[1, u64::MAX]).unwrap();
    MaskLayout::elementwise(&[SIDE, SIDE, SIDE, 0]).unwrap();
    MaskLayout::elementwise(&[0, SIDE, SIDE, SIDE]).unwrap();
    // The same holds for a shard of it.
    let layout = MaskLayout::strided(&[0, 3], &[1, u64::MAX]).unwrap();
    assert!(layout.shard(&[0, 2], &[0, 1]).unwrap().is_empty());
    assert_eq!(layout.index(2), layout.first_index());
}

#[test]
fn eight_dimensions_and_no_more() {
    let made = |dimensions: usize| MaskLayout::strided(&vec![2; dimensions], &vec![1; dimensions]);
    assert_eq!(MaskLayout::MAX_DIMENSIONS, 8);
    made(8).unwrap();
    let error = || LayoutError::TooManyDimensions {
        dimensions: 9,
        max: 8,
    };
    let message = "9 dimensions, at most 8: merge neighbours that the mask treats alike";
    refused(made(9), error(), message);
    refused(MaskLayout::elementwise(&[1; 9]), error(), message);
    refused(MaskLayout::drop_path(&[1; 9]), error(), message);
}

#[test]
fn ranks_are_checked() {
    use MaskLayout as L;
    let feature = DimensionList::FeatureShape;
    let time = DimensionList::TimeLockedShape;
    let rank = |made, list, expected, got, message: &str| {
        let error = LayoutError::Rank {
            list,
            expected,
            got,
        };
        refused(made, error, message);
    };
    for (dimensions, message) in [
        (
            2,
            "1 number in the strides for 2 dimensions: give one for each dimension",
        ),
        (
            0,
            "1 number in the strides for 0 dimensions: give one for each dimension",
        ),
    ] {
        let made = L::strided(&[2, 3][..dimensions], &[1]);
        rank(
            made,
            DimensionList::Strides,
            dimensions..=dimensions,
            1,
            message,
        );
    }
    for (dimensions, message) in [
        (
            2,
            "3 numbers in the noise shape for 2 dimensions: give at most one for each dimension",
        ),
        (
            1,
            "2 numbers in the noise shape for 1 dimension: give at most one for each dimension",
        ),
    ] {
        let noise_shape = &[Some(1), Some(2), None][..dimensions + 1];
        let made = L::noise_shape(&[2, 3][..dimensions], noise_shape);
        rank(
            made,
            DimensionList::NoiseShape,
            0..=dimensions,
            dimensions + 1,
            message,
        );
    }
    let lacks = "give a 1 for each dimension that the tensor lacks";
    for (made, list, name, least, got) in [
        (L::feature_channels_first(&[2]), feature, "feature", 2, 1),
        (L::feature_channels_last(&[]), feature, "feature", 2, 0),
        (L::time_locked_batch_first(&[2]), time, "time-locked", 2, 1),
        (L::time_locked_time_first(&[]), time, "time-locked", 2, 0),
        (
            L::drop_path(&[]),
            DimensionList::DropPathShape,
            "drop path",
            1,
            0,
        ),
    ] {
        let name = match name {
            "drop path" => name.to_owned(),
            name => format!("{name} dropout"),
        };
        let message =
            format!("{name} takes a shape of {least} to 8 dimensions, this one has {got}: {lacks}");
        rank(made, list, least..=8, got, &message);
    }
}

#[test]
fn noise_shapes_broadcast_or_are_refused_by_dimension() {
    for (noise_shape, dimension, noise, size) in [
        (&[4, 6, 5, 1][..], 2, 5, 10),
        (&[4, 2, 10, 1], 1, 2, 6),
        (&[5, 1, 1, 1], 0, 5, 4),
        // Shapes are aligned at the last dimension, as in NumPy.
        (&[4, 1, 1], 1, 4, 6),
        (&[0, 1], 2, 0, 10),
        (&[u64::MAX, 1, 1, 1], 0, u64::MAX, 4),
        (&[4, 6, 10, 3], 3, 3, 1),
    ] {
        let error = LayoutError::NoiseShape {
            dimension,
            noise,
            size,
        };
        let message = format!(
            "the noise shape has size {noise} in dimension {dimension}, the tensor {size}: \
             give 1 to share decisions along it, or None, the tensor's size, to share none"
        );
        let noise_shape: Vec<_> = noise_shape.iter().copied().map(Some).collect();
        refused(
            MaskLayout::noise_shape(&[4, 6, 10, 1], &noise_shape),
            error,
            &message,
        );
    }
}

#[test]
fn the_largest_index_is_the_last_one() {
    let last = |made: Made| assert_eq!(made.unwrap().last_index(), Some(u64::MAX));
    let strided = MaskLayout::strided;

    last(strided(&[2], &[u64::MAX]));
    last(strided(&[u64::MAX], &[1]).and_then(|layout| layout.offset(1)));
    last(strided(&[2, 2], &[u64::MAX - 5, 5]));
    last(strided(&[1 << 33, 2], &[1 << 31, (1 << 31) - 1]));
    last(MaskLayout::elementwise(&[SIDE, SIDE]));
    last(MaskLayout::elementwise(&[2, SIDE, 1, 1 << 31]));
    last(strided(&[2], &[1]).and_then(|layout| layout.offset(u64::MAX - 1)));

    for (made, dimension, size, stride) in [
        (strided(&[3], &[1 << 63]), 0, 3, 1 << 63),
        (strided(&[2, 2], &[u64::MAX - 5, 6]), 1, 2, 6),
        (
            strided(&[2, 2, 2], &[1 << 63, 1 << 62, 1 << 62]),
            2,
            2,
            1 << 62,
        ),
        (
            MaskLayout::elementwise(&[SIDE + 1, SIDE]),
            0,
            SIDE + 1,
            SIDE,
        ),
        (
            MaskLayout::elementwise(&[SIDE, SIDE, SIDE]),
            0,
            SIDE,
            u64::MAX,
        ),
    ] {
        let error = IndexOverflow::Dimension {
            dimension,
            size,
            stride,
        };
        let message = format!(
            "mask indices pass 2^64 - 1 in dimension {dimension}, of {size} elements {stride} apart: \
             lower its stride or size"
        );
        refused(made, error.into(), &message);
    }
    for (layout, offset, last_index) in [
        (strided(&[2, 3], &[100, 10]), u64::MAX - 119, 120),
        (strided(&[2], &[u64::MAX]), 1, u64::MAX),
        (
            strided(&[], &[]).and_then(|layout| layout.offset(u64::MAX)),
            1,
            u64::MAX,
        ),
    ] {
        let error = IndexOverflow::Offset { offset, last_index };
        let message =
            format!("an offset of {offset} moves mask index {last_index} past 2^64 - 1: lower it");
        let layout = layout.unwrap();
        refused(layout.clone().offset(offset), error.into(), &message);
        last(layout.offset(offset - 1));
    }
    MaskLayout::elementwise(&[2, SIDE, SIDE]).unwrap_err();
}

#[test]
fn shards_lie_in_their_whole() {
    let whole = MaskLayout::elementwise(&[6, 48, 40]).unwrap();
    let shard = whole.shard(&[2, 0, 30], &[4, 48, 10]).unwrap();
    assert_eq!(shard.shape(), [4, 48, 10]);
    assert_eq!(shard.strides(), whole.strides());
    assert_eq!(shard.first_index(), 2 * 1920 + 30);
    assert_eq!(shard.last_index(), whole.last_index());
    // A shard of a shard, then an empty shard at the end.
    let inner = shard.shard(&[1, 5, 0], &[1, 1, 10]).unwrap();
    assert_eq!(inner.first_index(), 3 * 1920 + 5 * 40 + 30);
    assert!(whole.shard(&[6, 48, 40], &[0, 0, 0]).unwrap().is_empty());
    let last = MaskLayout::strided(&[2], &[u64::MAX]).unwrap();
    assert_eq!(last.shard(&[1], &[1]).unwrap().first_index(), u64::MAX);

    for (start, len, dimension, from, elements) in [
        ([0, 0, 0], [7, 48, 40], 0, 0, 7),
        ([6, 0, 0], [1, 1, 1], 0, 6, 1),
        ([7, 0, 0], [0, 1, 1], 0, 7, 0),
        ([0, 47, 0], [1, 2, 1], 1, 47, 2),
        ([0, 0, u64::MAX], [1, 1, 1], 2, u64::MAX, 1),
        ([0, 0, 1], [1, 1, u64::MAX], 2, 1, u64::MAX),
    ] {
        let size = whole.shape()[dimension];
        let error = LayoutError::Shard {
            dimension,
            start: from,
            len: elements,
            size,
        };
        let message = format!(
            "{elements} elements from {from} on pass the {size} of dimension {dimension}: \
             move or shorten the shard"
        );
        refused(whole.shard(&start, &len), error, &message);
    }
    for (start, len, list, got) in [
        (&[0, 0][..], &[1, 1, 1][..], DimensionList::ShardStart, 2),
        (&[0, 0, 0], &[1, 1, 1, 1], DimensionList::ShardShape, 4),
    ] {
        let error = LayoutError::Rank {
            list,
            expected: 3..=3,
            got,
        };
        let message =
            format!("{got} numbers in {list} for 3 dimensions: give one for each dimension");
        refused(whole.shard(start, len), error, &message);
    }
}

#[test]
fn views_keep_the_mask() {
    let whole = MaskLayout::elementwise(&[2, 3, 5])
        .unwrap()
        .offset(7)
        .unwrap();
    let view = whole.permuted(&[2, 0, 1]).unwrap();
    assert_eq!(view.shape(), [5, 2, 3]);
    for a in 0..2 {
        for b in 0..3 {
            for c in 0..5 {
                assert_eq!(
                    view.index(6 * c + 3 * a + b),
                    whole.index(15 * a + 5 * b + c)
                );
            }
        }
    }
    assert_eq!(whole.permuted(&[0, 1, 2]).unwrap(), whole);
    for order in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, 2, 3], &[]] {
        let error = LayoutError::Order {
            order: order.into(),
            dimensions: 3,
        };
        let message = format!(
            "the order {order:?} does not name each of 3 dimensions once: \
             give each number below 3 once"
        );
        refused(whole.permuted(order), error, &message);
    }
}
