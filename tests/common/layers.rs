//! The layers that people know, each by its own definition: the random numbers that the published
//! code draws, and how it broadcasts them over the tensor.

use wgpu_dropout::{DropoutCall, LayoutError, MaskLayout};

use super::kinds;

/// A layer on a tensor of some shape.
pub struct Layer {
    pub name: &'static str,
    pub layout: MaskLayout,
    definition: fn(&mut Noise) -> Vec<bool>,
}

/// The source of a layer's decisions, which are drawn one after the other.
struct Noise {
    call: DropoutCall,
}

impl Noise {
    /// The next `len` decisions.
    fn draw(&mut self, len: u64) -> Vec<bool> {
        let first = self.call.origin;
        self.call.origin += len;
        kinds::kept(&self.call, first..first + len)
    }
}

impl Layer {
    /// The decision of each element in row-major order: true keeps it.
    pub fn kept(&self, call: &DropoutCall) -> Vec<bool> {
        (self.definition)(&mut Noise { call: *call })
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

/// The table of layers. There are 6 or 3 channels and 2 samples or more. Some of the other sizes
/// are multiples of the vector width, and some are not.
pub fn layers() -> Vec<Layer> {
    type Made = Result<MaskLayout, LayoutError>;
    let layer = |name, layout: Made, definition| Layer {
        name,
        layout: layout.expect("a layout"),
        definition,
    };
    use MaskLayout as L;
    vec![
        // torch: `empty_like(input).bernoulli_(1 - p)`.
        layer("nn.Dropout", L::elementwise(&[4, 37, 5]), |noise| {
            noise.draw(4 * 37 * 5)
        }),
        // torch, `make_feature_noise`: sizes (N, C, 1, ...), broadcast by `mul`.
        layer(
            "nn.Dropout1d",
            L::feature_channels_first(&[3, 5, 7]),
            |noise| {
                let noise = noise.draw(3 * 5);
                each([3, 5, 7], |[n, c, _]| noise[5 * n + c])
            },
        ),
        layer(
            "nn.Dropout2d",
            L::feature_channels_first(&[2, 6, 4, 8]),
            |noise| {
                let noise = noise.draw(2 * 6);
                each([2, 6, 4, 8], |[n, c, _, _]| noise[6 * n + c])
            },
        ),
        layer(
            "nn.Dropout3d",
            L::feature_channels_first(&[2, 3, 2, 3, 4]),
            |noise| {
                let noise = noise.draw(2 * 3);
                each([2, 3, 2, 3, 4], |[n, c, _, _, _]| noise[3 * n + c])
            },
        ),
        // Keras, `_get_noise_shape`: (batch, 1, channels), (batch, 1, 1, channels), ...
        layer(
            "SpatialDropout1D",
            L::feature_channels_last(&[3, 7, 6]),
            |noise| {
                let noise = noise.draw(3 * 6);
                each([3, 7, 6], |[n, _, c]| noise[6 * n + c])
            },
        ),
        layer(
            "SpatialDropout2D",
            L::feature_channels_last(&[2, 5, 7, 16]),
            |noise| {
                let noise = noise.draw(2 * 16);
                each([2, 5, 7, 16], |[n, _, _, c]| noise[16 * n + c])
            },
        ),
        layer(
            "SpatialDropout3D",
            L::feature_channels_last(&[2, 2, 3, 2, 6]),
            |noise| {
                let noise = noise.draw(2 * 6);
                each([2, 2, 3, 2, 6], |[n, _, _, _, c]| noise[6 * n + c])
            },
        ),
        // Gal and Ghahramani: each sample has one mask, the same at every time step.
        layer(
            "variational, batch first",
            L::time_locked_batch_first(&[3, 9, 20]),
            |noise| {
                let noise = noise.draw(3 * 20);
                each([3, 9, 20], |[n, _, f]| noise[20 * n + f])
            },
        ),
        layer(
            "variational, time first",
            L::time_locked_time_first(&[9, 3, 20]),
            |noise| {
                let noise = noise.draw(3 * 20);
                each([9, 3, 20], |[_, n, f]| noise[20 * n + f])
            },
        ),
        // timm, `drop_path`: shape (N, 1, ...).
        layer("DropPath", L::drop_path(&[16, 3, 11]), |noise| {
            let noise = noise.draw(16);
            each([16, 3, 11], |[n, _, _]| noise[n])
        }),
        layer("DropPath of rows", L::drop_path(&[9, 64]), |noise| {
            let noise = noise.draw(9);
            each([9, 64], |[n, _]| noise[n])
        }),
        // NumPy's broadcasting: missing dimensions come first.
        layer(
            "noise_shape (6, 1)",
            L::noise_shape(&[4, 6, 10], &[None, Some(1)]),
            |noise| {
                let noise = noise.draw(6);
                each([4, 6, 10], |[_, c, _]| noise[c])
            },
        ),
        layer(
            "noise_shape (10)",
            L::noise_shape(&[4, 6, 10], &[Some(10)]),
            |noise| {
                let noise = noise.draw(10);
                each([4, 6, 10], |[_, _, f]| noise[f])
            },
        ),
        layer(
            "noise_shape (4, 1, 10)",
            L::noise_shape(&[4, 6, 10], &[Some(4), Some(1), None]),
            |noise| {
                let noise = noise.draw(4 * 10);
                each([4, 6, 10], |[n, _, f]| noise[10 * n + f])
            },
        ),
        layer("noise_shape ()", L::noise_shape(&[5, 7], &[]), |noise| {
            let noise = noise.draw(1);
            each([5, 7], |_| noise[0])
        }),
        // Wan et al.: a mask of the weights' shape, for (outputs, inputs).
        layer("DropConnect", L::elementwise(&[12, 40]), |noise| {
            let noise = noise.draw(12 * 40);
            each([12, 40], |[o, i]| noise[40 * o + i])
        }),
        // The same weights, stored as (inputs, outputs).
        layer(
            "DropConnect, transposed",
            L::elementwise(&[12, 40]).and_then(|layout| layout.permuted(&[1, 0])),
            |noise| {
                let noise = noise.draw(12 * 40);
                each([40, 12], |[i, o]| noise[40 * o + i])
            },
        ),
    ]
}
