//! The options of a mask layout, and a tensor that is processed in pieces.

use anyhow::{Context, Result};
use wgpu_dropout::{DropoutCall, MaskLayout, MaskPattern, MaskSource};

use crate::npy::count;
use crate::number;

/// The size of a tensor that is not in a file.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct ElementsArgs {
    /// Number of elements
    #[arg(
        long,
        value_name = "N",
        value_parser = number::integer::<u64>,
        allow_hyphen_values = true
    )]
    len: Option<u64>,
    /// Elements in each dimension
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        value_parser = number::integer::<u64>,
        allow_hyphen_values = true
    )]
    pub shape: Option<Vec<u64>>,
}

impl ElementsArgs {
    /// The shape. With --len it has one dimension.
    pub fn shape(&self) -> &[u64] {
        // clap takes exactly one of the two options.
        self.shape.as_deref().unwrap_or(self.len.as_slice())
    }
}

#[derive(Debug, clap::Args)]
pub struct LayoutArgs {
    /// The elements that share a decision: elementwise, feature-channels-first,
    /// feature-channels-last, time-locked-batch-first, time-locked-time-first or drop-path
    #[arg(long, value_name = "NAME", conflicts_with_all = ["noise_shape", "mask_strides"])]
    pattern: Option<MaskPattern>,
    /// Make a decision for each element of this shape and broadcast it to the tensor's shape, as
    /// Keras does. Dimensions are aligned at the last one: 1 shares decisions along a dimension,
    /// None or * stands for the tensor's size
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        value_parser = noise_size,
        allow_hyphen_values = true,
        conflicts_with = "mask_strides"
    )]
    noise_shape: Option<Vec<Option<u64>>>,
    /// The step in mask indices from one coordinate to the next, for each dimension; not a stride
    /// of memory. 0 shares a decision along the dimension. With --origin the tensor is a part of a
    /// larger one
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        value_parser = number::integer::<u64>,
        allow_hyphen_values = true
    )]
    mask_strides: Option<Vec<u64>>,
}

/// Parses a size of a noise shape. `None` is the tensor's size.
fn noise_size(text: &str) -> Result<Option<u64>, String> {
    if text == "*" || text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let or_none = |error| format!("{error}, or None for the tensor's size");
    number::integer(text).map(Some).map_err(or_none)
}

impl LayoutArgs {
    /// The tensor of this shape under `call`.
    ///
    /// # Errors
    ///
    /// If the options do not fit the shape, or a mask index would pass 2^64 - 1. Nothing has been
    /// written then.
    pub fn tensor(&self, shape: &[u64], call: DropoutCall) -> Result<Tensor> {
        let len = count(shape)
            .with_context(|| format!("the shape {shape:?} passes 64 bits: make it smaller"))?;
        let layout = match (&self.pattern, &self.noise_shape, &self.mask_strides) {
            (Some(pattern), ..) => Some(
                pattern
                    .layout(shape)
                    .with_context(|| format!("--pattern does not fit the shape {shape:?}"))?,
            ),
            (_, Some(noise_shape), _) => Some(
                MaskLayout::noise_shape(shape, noise_shape)
                    .with_context(|| format!("--noise-shape does not fit the shape {shape:?}"))?,
            ),
            (_, _, Some(strides)) => Some(
                MaskLayout::strided(shape, strides)
                    .with_context(|| format!("--mask-strides do not fit the shape {shape:?}"))?,
            ),
            (None, None, None) => None,
        };
        match &layout {
            Some(layout) => call.check(layout)?,
            None => call.check(&MaskLayout::linear(len))?,
        }
        Ok(Tensor { len, call, layout })
    }
}

/// A tensor, or a piece of one.
#[derive(Debug)]
pub struct Tensor {
    /// Number of elements.
    pub len: u64,
    pub call: DropoutCall,
    /// The layout, or `None` if mask indices are consecutive.
    pub layout: Option<MaskLayout>,
}

impl Tensor {
    /// The tensor as a source for the library.
    pub fn source(&self) -> MaskSource<'_> {
        match &self.layout {
            Some(layout) => layout.into(),
            None => self.len.into(),
        }
    }

    /// The piece of at most `max` elements that begins with element `start`, where the last piece
    /// ended. A layout is cut along one dimension, the outermost that has to be cut.
    pub fn piece(&self, start: u64, max: u64) -> Result<Self> {
        let Some(layout) = &self.layout else {
            return Ok(Self {
                len: max.min(self.len - start),
                call: self.call.with_origin(self.call.origin + start),
                layout: None,
            });
        };
        let mut shape = layout.shape().to_vec();
        let mut first = Vec::with_capacity(shape.len());
        let (mut row, mut rest) = (self.len, start);
        for size in &mut shape {
            row /= *size;
            let coordinate = rest / row;
            rest %= row;
            // The piece takes as many coordinates as fit, but no more than are left. If not even
            // one fits, it takes one, which a later dimension cuts.
            *size = (max / row).clamp(1, *size - coordinate);
            first.push(coordinate);
        }
        let layout = layout.shard(&first, &shape)?;
        Ok(Self {
            len: layout.len(),
            call: self.call,
            layout: Some(layout),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu_dropout::{DropoutRate, MaskKey};

    /// The mask indices of all pieces, and the number of pieces.
    fn indices(tensor: &Tensor, max: u64) -> (Vec<u64>, usize) {
        let (mut indices, mut pieces) = (Vec::new(), 0);
        while (indices.len() as u64) < tensor.len {
            let piece = tensor.piece(indices.len() as u64, max).unwrap();
            assert!((1..=max).contains(&piece.len));
            let layout = piece.layout.unwrap();
            indices.extend((0..piece.len).map(|element| layout.index(element)));
            pieces += 1;
        }
        (indices, pieces)
    }

    #[test]
    fn pieces_are_the_whole_in_order() {
        let layout = MaskLayout::strided(&[3, 4, 5], &[100, 7, 1]).unwrap();
        let tensor = Tensor {
            len: layout.len(),
            call: DropoutCall::new(DropoutRate::ZERO, MaskKey::new(1, 2)),
            layout: Some(layout.clone()),
        };
        let whole: Vec<_> = (0..60).map(|element| layout.index(element)).collect();
        for (max, pieces) in [
            (1, 60),
            (2, 36),
            (5, 12),
            (11, 6),
            (20, 3),
            (59, 2),
            (60, 1),
            (u64::MAX, 1),
        ] {
            assert_eq!(indices(&tensor, max), (whole.clone(), pieces), "{max}");
        }
    }
}
