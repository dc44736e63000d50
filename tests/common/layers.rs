//! The layers that people know, each by its own definition: the random numbers that the published
//! code draws, and how it broadcasts them over the tensor.

use wgpu_dropout::{DropoutCall, LayoutError, MaskLayout};

use super::kinds;

/// A layer on a tensor of some shape.
pub struct Layer {
    pub name: &'static str,
    pub layout: MaskLayout,
    definition: fn(&DropoutCall) -> Vec<bool>,
}

impl Layer {
    /// The decision of each element in row-major order: true keeps it.
    pub fn kept(&self, call: &DropoutCall) -> Vec<bool> {
        (self.definition)(call)
    }
}

/// `keep` of all coordinates in row-major order: the last coordinate changes fastest.
fn each<const D: usize>(shape: [usize; D], keep: impl Fn([usize; D]) -> bool) -> Vec<bool> {
    let mut kept = Vec::new();
    let mut at = [0; D];
    for _ in 0..shape.iter().product() {
        kept.push(keep(at));
        for d in (0..D).rev() {
            at[d] += 1;
            if at[d] < shape[d] {
                break;
            }
            at[d] = 0;
        }
    }
    kept
}

/// The name of a layout, and a function from the batch size, its outermost dimension, to the
/// layout.
type Batch = (&'static str, fn(u64) -> Result<MaskLayout, LayoutError>);

/// Layouts with a batch dimension. Samples have masks of their own, unless the name says `shared`.
pub const BATCHES: [Batch; 10] = [
    ("elementwise", |n| MaskLayout::elementwise(&[n, 4, 8])),
    ("feature, channels first", |n| {
        MaskLayout::feature_channels_first(&[n, 6, 5])
    }),
    ("feature, one channel first", |n| {
        MaskLayout::feature_channels_first(&[n, 1, 5])
    }),
    ("feature, channels last", |n| {
        MaskLayout::feature_channels_last(&[n, 5, 6])
    }),
    ("time-locked, batch first", |n| {
        MaskLayout::time_locked_batch_first(&[n, 9, 20])
    }),
    ("time-locked, time first", |n| {
        MaskLayout::time_locked_time_first(&[1, n, 20])?.permuted(&[1, 0, 2])
    }),
    ("time-locked, time steps shared", |t| {
        MaskLayout::time_locked_time_first(&[t, 3, 20])
    }),
    ("drop path", |n| MaskLayout::drop_path(&[n, 3, 11])),
    ("a noise shape, samples shared", |n| {
        MaskLayout::noise_shape(&[n, 4, 8], &[Some(1), Some(1), Some(8)])
    }),
    ("a noise shape", |n| {
        MaskLayout::noise_shape(&[n, 4, 8], &[None, Some(1), None])
    }),
];

/// Each layer: its name, the shape and the layout of its tensor; the number of decisions that it
/// draws, and which of them an element at these coordinates takes.
macro_rules! layers {
    ($($name:literal, $shape:expr, $layout:expr, $draws:expr, $at:pat => $draw:expr;)*) => {
        vec![$(Layer {
            name: $name,
            layout: ($layout)(&$shape).expect("a layout"),
            definition: |call| {
                let noise = kinds::kept(call, call.origin..call.origin + $draws);
                each($shape, |$at| noise[$draw])
            },
        }),*]
    };
}

/// The table of layers. There are 6 or 3 channels and 2 samples or more. Some of the other sizes
/// are multiples of the vector width, and some are not.
pub fn layers() -> Vec<Layer> {
    use MaskLayout as L;
    let noise = |noise: &'static [Option<u64>]| move |shape: &[u64]| L::noise_shape(shape, noise);
    let transposed = |_: &[u64]| L::elementwise(&[12, 40])?.permuted(&[1, 0]);
    layers! {
        // torch: `empty_like(input).bernoulli_(1 - p)`.
        "nn.Dropout", [4, 37, 5], L::elementwise, 4 * 37 * 5, [a, b, c] => (37 * a + b) * 5 + c;
        // torch, `make_feature_noise`: sizes (N, C, 1, ...), broadcast by `mul`.
        "nn.Dropout1d", [3, 5, 7], L::feature_channels_first, 3 * 5, [n, c, _] => 5 * n + c;
        "nn.Dropout2d", [2, 6, 4, 8], L::feature_channels_first, 2 * 6, [n, c, ..] => 6 * n + c;
        "nn.Dropout3d", [2, 3, 2, 3, 4], L::feature_channels_first, 2 * 3, [n, c, ..] => 3 * n + c;
        // Keras, `_get_noise_shape`: (batch, 1, channels), (batch, 1, 1, channels), ...
        "SpatialDropout1D", [3, 7, 6], L::feature_channels_last, 3 * 6, [n, _, c] => 6 * n + c;
        "SpatialDropout2D", [2, 5, 7, 16], L::feature_channels_last, 2 * 16, [n, .., c] => 16 * n + c;
        "SpatialDropout3D", [2, 2, 3, 2, 6], L::feature_channels_last, 2 * 6, [n, .., c] => 6 * n + c;
        // Gal and Ghahramani: each sample has one mask, the same at every time step.
        "variational, batch first", [3, 9, 20], L::time_locked_batch_first, 60, [n, _, f] => 20 * n + f;
        "variational, time first", [9, 3, 20], L::time_locked_time_first, 60, [_, n, f] => 20 * n + f;
        // timm, `drop_path`: shape (N, 1, ...).
        "DropPath", [16, 3, 11], L::drop_path, 16, [n, ..] => n;
        "DropPath of rows", [9, 64], L::drop_path, 9, [n, _] => n;
        // NumPy's broadcasting: missing dimensions come first.
        "noise_shape (6, 1)", [4, 6, 10], noise(&[None, Some(1)]), 6, [_, c, _] => c;
        "noise_shape (10)", [4, 6, 10], noise(&[Some(10)]), 10, [_, _, f] => f;
        "noise_shape (4, 1, 10)", [4, 6, 10], noise(&[Some(4), Some(1), None]), 40, [n, _, f] => 10 * n + f;
        "noise_shape ()", [5, 7], noise(&[]), 1, _ => 0;
        // Wan et al.: a mask of the weights' shape, for (outputs, inputs).
        "DropConnect", [12, 40], L::elementwise, 12 * 40, [o, i] => 40 * o + i;
        // The same weights, stored as (inputs, outputs).
        "DropConnect, transposed", [40, 12], transposed, 12 * 40, [i, o] => 40 * o + i;
    }
}
