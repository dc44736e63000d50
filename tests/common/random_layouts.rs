//! Random layouts: a noise shape, then a permutation, then a shard.

use proptest::prelude::*;
use wgpu_dropout::{LayoutError, MaskLayout};

use super::reference;

/// A layout, and the mask index of each of its elements, computed from the whole tensor.
#[derive(Clone, Debug)]
pub struct RandomLayout {
    pub layout: MaskLayout,
    pub indices: Vec<u64>,
}

/// A dimension: its size, whether its coordinates share a decision, and the shard's range.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: u64,
    shared: bool,
    start: u64,
    end: u64,
}

impl RandomLayout {
    /// A layout whose dimension `d` is dimension `order[d]` of the whole.
    fn new(axes: &[Axis], order: &[usize]) -> Result<Self, LayoutError> {
        let sizes: Vec<u64> = axes.iter().map(|axis| axis.size).collect();
        let noise: Vec<Option<u64>> = axes.iter().map(|axis| axis.shared.then_some(1)).collect();
        let ordered: Vec<Axis> = order.iter().map(|&axis| axes[axis]).collect();
        let start: Vec<u64> = ordered.iter().map(|axis| axis.start).collect();
        let len: Vec<u64> = ordered.iter().map(|axis| axis.end - axis.start).collect();
        let layout = MaskLayout::noise_shape(&sizes, &noise)?
            .permuted(order)?
            .shard(&start, &len)?;

        // Strides of the row-major noise tensor.
        let own_sizes = |from: usize| {
            let own = axes[from..].iter().filter(|axis| !axis.shared);
            own.map(|axis| axis.size)
        };
        let step = |axis: usize| match axes[axis].shared {
            true => 0,
            false => own_sizes(axis + 1).product(),
        };
        let steps: Vec<u64> = order.iter().map(|&axis| step(axis)).collect();
        let first = start
            .iter()
            .zip(&steps)
            .map(|(start, step)| start * step)
            .sum();
        let indices = reference::indices(&len, &steps, first);
        Ok(Self { layout, indices })
    }
}

/// Layouts of up to five dimensions. Sizes of 8 and 32 make whole blocks and mask words.
pub fn random_layout() -> impl Strategy<Value = RandomLayout> {
    let size = prop_oneof![6 => 1_u64..5, 2 => Just(8_u64)];
    let inner = prop_oneof![2 => 1_u64..20, 1 => 33_u64..80, 1 => Just(8_u64), 1 => Just(32_u64)];
    let axis = |size: BoxedStrategy<u64>| {
        let parts = size.prop_flat_map(|size| (Just(size), 0..=size, 0..=size));
        (parts, any::<bool>(), any::<bool>()).prop_map(|((size, a, b), cut, shared)| {
            let (start, end) = if cut { (a.min(b), a.max(b)) } else { (0, size) };
            Axis {
                size,
                shared,
                start,
                end,
            }
        })
    };
    let axes = (
        prop::collection::vec(axis(size.boxed()), 0..5),
        axis(inner.boxed()),
    );
    axes.prop_flat_map(|(mut axes, inner)| {
        axes.push(inner);
        let order: Vec<usize> = (0..axes.len()).collect();
        let orders = prop_oneof![Just(order.clone()), Just(order).prop_shuffle()];
        (Just(axes), orders)
    })
    .prop_map(|(axes, order)| RandomLayout::new(&axes, &order).expect("a layout"))
}
