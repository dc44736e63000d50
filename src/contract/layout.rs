//! The map from a tensor's elements to mask indices, one type for all patterns of dropout \[M13\].

use crate::contract::error::{DimensionList, IndexOverflow, LayoutError};

/// The map from the elements of a tensor, in row-major order, to mask indices:
/// `origin + first_index + sum over dimensions of coordinate * stride` \[M13\].
///
/// Each pattern of dropout is a choice of strides. A stride of 0 shares one decision along its
/// dimension. A shard keeps the strides of the whole tensor and begins at its own first index, so
/// that its mask is exactly its slice of the whole mask.
///
/// The named layouts expect a batch. For a single sample give a batch of one: a first dimension of
/// size 1.
///
/// | layer | PyTorch | Keras | layout |
/// |---|---|---|---|
/// | dropout | `nn.Dropout` | `Dropout` | [`elementwise`](Self::elementwise) |
/// | feature dropout 1d, 2d, 3d | `nn.Dropout1d`, `2d`, `3d` | `SpatialDropout1D`, `2D`, `3D` with `channels_first` | [`feature_channels_first`](Self::feature_channels_first) |
/// | the same, channels last | | `SpatialDropout1D`, `2D`, `3D` | [`feature_channels_last`](Self::feature_channels_last) |
/// | time-locked (variational, recurrent) dropout | | `recurrent_dropout`, `noise_shape=(n, 1, f)` | [`time_locked_batch_first`](Self::time_locked_batch_first), [`time_locked_time_first`](Self::time_locked_time_first) |
/// | drop path (stochastic depth) | timm's `DropPath` | `noise_shape=(n, 1, …)` | [`drop_path`](Self::drop_path) |
/// | any of them | | `Dropout(noise_shape=…)` | [`noise_shape`](Self::noise_shape) |
///
/// ```
/// use wgpu_dropout::MaskLayout;
///
/// let images = MaskLayout::feature_channels_first(&[2, 6, 5, 7])?;
/// assert_eq!(images.strides(), [6, 1, 0, 0]);
/// assert_eq!(images, MaskLayout::noise_shape(&[2, 6, 5, 7], &[None, None, Some(1), Some(1)])?);
/// # Ok::<(), wgpu_dropout::LayoutError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Unchecked"))]
pub struct MaskLayout {
    shape: Vec<u64>,
    strides: Vec<u64>,
    first_index: u64,
}

/// The serialized form of a layout.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Unchecked {
    shape: Vec<u64>,
    strides: Vec<u64>,
    first_index: u64,
}

#[cfg(feature = "serde")]
impl TryFrom<Unchecked> for MaskLayout {
    type Error = LayoutError;

    fn try_from(layout: Unchecked) -> Result<Self, LayoutError> {
        Self::strided(&layout.shape, &layout.strides)?.offset(layout.first_index)
    }
}

/// A dimension of a folded layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimension {
    pub size: u64,
    pub stride: u64,
}

impl MaskLayout {
    /// The most dimensions a layout may have.
    pub const MAX_DIMENSIONS: usize = 8;

    /// A layout of any strides. A stride is the number of mask indices from one coordinate of its
    /// dimension to the next.
    ///
    /// These are not strides in memory: elements always lie in row-major order without gaps. For a
    /// tensor in another order see [`permuted`](Self::permuted).
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// // Rows of three share a mask: memory has six elements, the mask three indices.
    /// let layout = MaskLayout::strided(&[2, 3], &[0, 1])?;
    /// let indices: Vec<u64> = (0..6).map(|element| layout.index(element)).collect();
    /// assert_eq!(indices, [0, 1, 2, 0, 1, 2]);
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::TooManyDimensions`]; [`LayoutError::Rank`] unless there is a stride for each
    /// dimension; [`LayoutError::IndexOverflow`] if the largest index passes 2^64 - 1.
    pub fn strided(shape: &[u64], strides: &[u64]) -> Result<Self, LayoutError> {
        if shape.len() > Self::MAX_DIMENSIONS {
            return Err(LayoutError::TooManyDimensions {
                dimensions: shape.len(),
                max: Self::MAX_DIMENSIONS,
            });
        }
        same_rank(DimensionList::Strides, shape.len(), strides.len())?;
        let mut last = 0u64;
        for (dimension, (&size, &stride)) in shape.iter().zip(strides).enumerate() {
            // Without an element there is no index.
            if shape.contains(&0) {
                break;
            }
            last = (size - 1)
                .checked_mul(stride)
                .and_then(|reach| last.checked_add(reach))
                .ok_or(IndexOverflow::Dimension {
                    dimension,
                    size,
                    stride,
                })?;
        }
        Ok(Self {
            shape: shape.into(),
            strides: strides.into(),
            first_index: 0,
        })
    }

    /// One dimension of consecutive indices. A length alone means this layout.
    pub fn linear(len: u64) -> Self {
        Self {
            shape: vec![len],
            strides: vec![1],
            first_index: 0,
        }
    }

    /// A decision for each element.
    ///
    /// The strides, and with them the masks, depend on all sizes but the outermost, so that padding
    /// a sequence to another length changes its mask. To keep the mask, take a shard of the layout
    /// with the longest length.
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// const T_MAX: u64 = 512;
    /// let padded_to = |t| MaskLayout::elementwise(&[8, T_MAX, 64])?.shard(&[0, 0, 0], &[8, t, 64]);
    /// assert_eq!(padded_to(100)?.strides(), padded_to(37)?.strides());
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`strided`](Self::strided).
    pub fn elementwise(shape: &[u64]) -> Result<Self, LayoutError> {
        Self::noise_shape(shape, &vec![None; shape.len()])
    }

    /// Keras's `noise_shape`: one decision for each element of the noise shape, broadcast to
    /// `shape`. Dimensions are aligned from the last one on. A dimension that the noise shape lacks
    /// shares its decisions.
    ///
    /// `None` means the tensor's size, and shares nothing. `Some(1)` shares decisions along its
    /// dimension: its stride is 0, even if the tensor's size is 1. Any other size must be the
    /// tensor's, and means the same as `None`. Give `None` for a size that may vary, such as the
    /// batch's. The number 1, given as the size of a batch of one, would share decisions.
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// let noise_shape = [None, Some(1), None];
    /// let batch = MaskLayout::noise_shape(&[32, 9, 20], &noise_shape)?;
    /// assert_eq!(batch.strides(), [20, 0, 1]);
    /// // With sample ids [M16] a sample has the same mask in a batch of one: the strides are
    /// // equal.
    /// let one = MaskLayout::noise_shape(&[1, 9, 20], &noise_shape)?;
    /// assert_eq!(one.strides(), [20, 0, 1]);
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::NoiseShape`] names the dimension that does not broadcast. For others see
    /// [`strided`](Self::strided).
    pub fn noise_shape(shape: &[u64], noise_shape: &[Option<u64>]) -> Result<Self, LayoutError> {
        let Some(missing) = shape.len().checked_sub(noise_shape.len()) else {
            return Err(LayoutError::Rank {
                list: DimensionList::NoiseShape,
                expected: 0..=shape.len(),
                got: noise_shape.len(),
            });
        };
        let mut strides = vec![0; shape.len()];
        let mut next = 1u64;
        for dimension in (missing..shape.len()).rev() {
            let size = shape[dimension];
            match noise_shape[dimension - missing] {
                Some(1) => {}
                Some(noise) if noise != size => {
                    return Err(LayoutError::NoiseShape {
                        dimension,
                        noise,
                        size,
                    });
                }
                // A size of 1 gets its stride too, since a sample id may be larger than the size
                // [M16].
                None | Some(_) => {
                    strides[dimension] = next;
                    // If this saturates, a mask index passes 2^64 - 1 too, unless there is no
                    // element.
                    next = next.saturating_mul(size.max(1));
                }
            }
        }
        Self::strided(shape, &strides)
    }

    /// Feature dropout of `(samples, channels, …)`: whole channels are dropped. Replaces PyTorch's
    /// `nn.Dropout1d`, `2d` and `3d`, and Keras's `SpatialDropout` with `channels_first`.
    ///
    /// A single image, `(channels, height, width)`, needs a first dimension of size 1. Without it
    /// the channels are taken for samples and rows of the image are dropped, as PyTorch's
    /// `nn.Dropout2d` does ([pytorch#69801](https://github.com/pytorch/pytorch/issues/69801)).
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// let image = MaskLayout::feature_channels_first(&[1, 3, 32, 32])?;
    /// assert_eq!(image.last_index(), Some(3 - 1)); // a decision for each channel
    /// let rows = MaskLayout::feature_channels_first(&[3, 32, 32])?;
    /// assert_eq!(rows.last_index(), Some(3 * 32 - 1)); // a decision for each row
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::Rank`] below 2 dimensions. For others see [`strided`](Self::strided).
    pub fn feature_channels_first(shape: &[u64]) -> Result<Self, LayoutError> {
        Self::keep_axes(DimensionList::FeatureShape, shape, 2, |axis, _| axis < 2)
    }

    /// Feature dropout of `(samples, …, channels)`: whole channels are dropped. Replaces Keras's
    /// `SpatialDropout1D`, `2D` and `3D`. A single image needs a first dimension of size 1, as in
    /// [`feature_channels_first`](Self::feature_channels_first).
    ///
    /// # Errors
    ///
    /// [`LayoutError::Rank`] below 2 dimensions. For others see [`strided`](Self::strided).
    pub fn feature_channels_last(shape: &[u64]) -> Result<Self, LayoutError> {
        Self::keep_axes(DimensionList::FeatureShape, shape, 2, |axis, rank| {
            axis == 0 || axis == rank - 1
        })
    }

    /// One mask for all time steps of `(samples, time, features…)`: variational dropout (Gal and
    /// Ghahramani 2016), Keras's `recurrent_dropout`.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Rank`] below 2 dimensions. For others see [`strided`](Self::strided).
    pub fn time_locked_batch_first(shape: &[u64]) -> Result<Self, LayoutError> {
        Self::keep_axes(DimensionList::TimeLockedShape, shape, 2, |axis, _| {
            axis != 1
        })
    }

    /// One mask for all time steps of `(time, samples, features…)`.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Rank`] below 2 dimensions. For others see [`strided`](Self::strided).
    pub fn time_locked_time_first(shape: &[u64]) -> Result<Self, LayoutError> {
        Self::keep_axes(DimensionList::TimeLockedShape, shape, 2, |axis, _| {
            axis != 0
        })
    }

    /// Drop path of `(samples, …)`: whole samples of a residual branch are dropped (stochastic
    /// depth, Huang et al. 2016). Replaces timm's `DropPath`.
    ///
    /// Kept samples are divided by 1 - p, as kept elements are in any inverted dropout. For timm's
    /// `scale_by_keep=False`, which does not rescale, use [`Classic`](crate::DropoutKind::Classic).
    /// With tokens instead of samples this is token dropout: see
    /// [`Elements::samples`](crate::Elements::samples).
    ///
    /// ```
    /// use wgpu_dropout::{DropoutCall, DropoutKind, DropoutRate, MaskKey};
    ///
    /// let call = DropoutCall::new(DropoutRate::new(0.2)?, MaskKey::new(42, 7));
    /// assert_eq!(call.keep_scale(), 1.25);
    /// assert_eq!(call.with_kind(DropoutKind::Classic).keep_scale(), 1.0);
    /// # Ok::<(), wgpu_dropout::RateError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::Rank`] without a dimension. For others see [`strided`](Self::strided).
    pub fn drop_path(shape: &[u64]) -> Result<Self, LayoutError> {
        Self::keep_axes(DimensionList::DropPathShape, shape, 1, |axis, _| axis == 0)
    }

    fn keep_axes(
        list: DimensionList,
        shape: &[u64],
        min_rank: usize,
        keep: impl Fn(usize, usize) -> bool,
    ) -> Result<Self, LayoutError> {
        if shape.len() < min_rank {
            return Err(LayoutError::Rank {
                list,
                expected: min_rank..=Self::MAX_DIMENSIONS,
                got: shape.len(),
            });
        }
        let noise: Vec<_> = (0..shape.len())
            .map(|axis| (!keep(axis, shape.len())).then_some(1))
            .collect();
        Self::noise_shape(shape, &noise)
    }

    /// The part of this layout that begins at the coordinates `start` and has `shape`: a shard of a
    /// tensor that is cut over devices, a chunk, a micro-batch or a slice. Its mask is the
    /// corresponding slice of the whole mask.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Shard`] if the part reaches past this layout; the error names the dimension.
    /// [`LayoutError::Rank`] unless `start` and `shape` have this layout's number of dimensions.
    pub fn shard(&self, start: &[u64], shape: &[u64]) -> Result<Self, LayoutError> {
        same_rank(DimensionList::ShardStart, self.shape.len(), start.len())?;
        same_rank(DimensionList::ShardShape, self.shape.len(), shape.len())?;
        let mut first_index = self.first_index;
        for (dimension, &size) in self.shape.iter().enumerate() {
            let (start, len) = (start[dimension], shape[dimension]);
            if start.checked_add(len).is_none_or(|end| end > size) {
                return Err(LayoutError::Shard {
                    dimension,
                    start,
                    len,
                    size,
                });
            }
            // The first index of an empty shard is never used.
            if !shape.contains(&0) {
                first_index += start * self.strides[dimension];
            }
        }
        Ok(Self {
            shape: shape.into(),
            strides: self.strides.clone(),
            first_index,
        })
    }

    /// The same elements in another order in memory: dimension `d` of the result is dimension
    /// `order[d]` of this layout. With it, a transposed copy of a tensor has the mask of the
    /// original.
    ///
    /// A view that is transposed only by its strides leaves the memory as it is: bind its buffer
    /// with the original's layout.
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// let original = MaskLayout::elementwise(&[2, 3])?;
    /// let copy = original.permuted(&[1, 0])?;
    /// assert_eq!(copy.shape(), [3, 2]);
    /// // Row 1, column 2 of the original is row 2, column 1 of the copy.
    /// assert_eq!(original.index(3 + 2), copy.index(2 * 2 + 1));
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::Order`] unless `order` names each dimension once.
    pub fn permuted(&self, order: &[usize]) -> Result<Self, LayoutError> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted.iter().copied().ne(0..self.shape.len()) {
            return Err(LayoutError::Order {
                order: order.into(),
                dimensions: self.shape.len(),
            });
        }
        Ok(Self {
            shape: order.iter().map(|&axis| self.shape[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            first_index: self.first_index,
        })
    }

    /// The same layout with `offset` added to each index.
    ///
    /// # Errors
    ///
    /// [`LayoutError::IndexOverflow`] if the largest index passes 2^64 - 1.
    pub fn offset(self, offset: u64) -> Result<Self, LayoutError> {
        let last_index = self.last_index().unwrap_or(self.first_index);
        if last_index.checked_add(offset).is_none() {
            return Err(IndexOverflow::Offset { offset, last_index }.into());
        }
        Ok(Self {
            first_index: self.first_index + offset,
            ..self
        })
    }

    /// Elements in each dimension.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Mask indices from one coordinate to the next in each dimension.
    pub fn strides(&self) -> &[u64] {
        &self.strides
    }

    /// The [`strides`](Self::strides) in the form that `dropout_index` of
    /// [`wgsl::functions`](crate::wgsl::functions) takes: four numbers of 32 bits, 0 after the last
    /// dimension.
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// let images = MaskLayout::feature_channels_first(&[8, 16, 28, 28])?;
    /// assert_eq!(images.index_strides(), Ok([16, 1, 0, 0]));
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::TooManyDimensions`] above four dimensions, [`LayoutError::WideStride`] if a
    /// stride is 2^32 or more. `dropout_index_after` takes any number of dimensions and strides of
    /// 64 bits.
    pub fn index_strides(&self) -> Result<[u32; 4], LayoutError> {
        let mut strides = [0; 4];
        let (dimensions, max) = (self.strides.len(), strides.len());
        if dimensions > max {
            return Err(LayoutError::TooManyDimensions { dimensions, max });
        }
        for (dimension, &stride) in self.strides.iter().enumerate() {
            strides[dimension] = stride
                .try_into()
                .map_err(|_| LayoutError::WideStride { dimension, stride })?;
        }
        Ok(strides)
    }

    /// Mask index of the first element, before the call's origin is added.
    pub fn first_index(&self) -> u64 {
        self.first_index
    }

    /// Number of elements, or `u64::MAX` if it passes that.
    pub fn len(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |len, &size| len.saturating_mul(size))
    }

    /// Returns true if a dimension has size 0.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Mask index of element `element` in row-major order, before the call's origin is added. An
    /// `element` of [`len`](Self::len) or more wraps around. In a layout without elements the
    /// result is [`first_index`](Self::first_index).
    pub fn index(&self, element: u64) -> u64 {
        self.index_of(element, |place| place)
    }

    /// [`index`](Self::index), in which `sample` replaces the outermost coordinate.
    pub(crate) fn index_of(&self, mut element: u64, sample: impl Fn(u64) -> u64) -> u64 {
        if self.is_empty() {
            // The strides of an empty layout are not checked, and a sum of them could overflow.
            return self.first_index;
        }
        let mut index = self.first_index;
        let dimensions = self.shape.iter().zip(&self.strides);
        for (dimension, (&size, &stride)) in dimensions.enumerate().rev() {
            let coordinate = element % size;
            index += stride
                * if dimension == 0 {
                    sample(coordinate)
                } else {
                    coordinate
                };
            element /= size;
        }
        index
    }

    /// The largest mask index, before the call's origin is added; `None` without an element.
    pub fn last_index(&self) -> Option<u64> {
        let reach = |(&size, &stride): (&u64, &u64)| (size - 1) * stride;
        let dimensions = || self.shape.iter().zip(&self.strides);
        (!self.is_empty()).then(|| self.first_index + dimensions().map(reach).sum::<u64>())
    }

    /// The number of samples, and the mask indices from one to the next. A layout without
    /// dimensions has one sample.
    pub(crate) fn samples(&self) -> (u64, u64) {
        let first = |numbers: &[u64]| numbers.first().copied();
        (
            first(&self.shape).unwrap_or(1),
            first(&self.strides).unwrap_or(0),
        )
    }

    /// The largest mask index that any sample ids give \[M16\], before the call's origin is added;
    /// `None` without an element.
    pub(crate) fn last_sample_index(&self) -> Result<Option<u64>, IndexOverflow> {
        let Some(last_index) = self.last_index() else {
            return Ok(None);
        };
        let (samples, stride) = self.samples();
        let last_index = last_index - (samples - 1) * stride;
        u64::from(u32::MAX)
            .checked_mul(stride)
            .and_then(|reach| reach.checked_add(last_index))
            .map(Some)
            .ok_or(IndexOverflow::Samples { stride, last_index })
    }

    /// The same map of the same elements with the fewest dimensions. It leaves out dimensions of
    /// size 1, and merges neighbours if `outer.stride == inner.size * inner.stride`. With `apart`,
    /// dimension 0 stays as it is, since sample ids replace its coordinate. The result is
    /// meaningless for a layout without elements.
    pub(crate) fn folded(&self, apart: bool) -> Vec<Dimension> {
        let first = usize::from(apart).min(self.shape.len());
        let mut folded: Vec<Dimension> = Vec::with_capacity(self.shape.len());
        for (axis, (&size, &stride)) in self.shape.iter().zip(&self.strides).enumerate() {
            let mergeable = folded.len() > first;
            match folded.last_mut() {
                _ if axis < first => folded.push(Dimension { size, stride }),
                _ if size == 1 => {}
                Some(outer) if mergeable && stride.checked_mul(size) == Some(outer.stride) => {
                    *outer = Dimension {
                        size: outer.size.saturating_mul(size),
                        stride,
                    };
                }
                _ => folded.push(Dimension { size, stride }),
            }
        }
        folded
    }
}

fn same_rank(list: DimensionList, expected: usize, got: usize) -> Result<(), LayoutError> {
    if expected == got {
        Ok(())
    } else {
        Err(LayoutError::Rank {
            list,
            expected: expected..=expected,
            got,
        })
    }
}
