//! The elements of a tensor under dropout, as a caller describes them.

use super::device::KernelHost;
use super::error::BindError;
use super::range::CheckedRange;
use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::plan::index_map::IndexMap;

/// The elements of a tensor: their type, and the source of their decisions. A length or a layout
/// converts into elements of `f32`.
///
/// ```
/// use wgpu_dropout::{ElementType, Elements, MaskLayout};
///
/// let images = MaskLayout::feature_channels_first(&[2, 6, 5, 7])?;
/// let elements = Elements::from(&images).of_type(ElementType::F16);
/// assert_eq!(elements.len(), 2 * 6 * 5 * 7);
/// # Ok::<(), wgpu_dropout::LayoutError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    source: Source<'a>,
    element: ElementType,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Len(u64),
    Layout(&'a MaskLayout),
    Samples {
        layout: &'a MaskLayout,
        ids: wgpu::BufferBinding<'a>,
    },
    Packed {
        mask: wgpu::BufferBinding<'a>,
        len: u64,
    },
}

impl<'a> Elements<'a> {
    const fn new(source: Source<'a>) -> Self {
        Self {
            source,
            element: ElementType::F32,
        }
    }

    /// Samples with ids. The samples are the layout's first dimension, and `ids[i]` replaces the
    /// number i of a sample in its mask indices \[M16\]. A sample's mask then depends neither on
    /// its position in the batch, nor on the batch's size, nor on samples that pad the batch. The
    /// layout's first index is added to the indices of each id. If parts of a batch lie on several
    /// devices, each part therefore needs a layout that begins at sample 0, not a shard that begins
    /// at a later one.
    ///
    /// `ids` has a `u32` for each sample, in a [`STORAGE`](wgpu::BufferUsages::STORAGE) buffer that
    /// dropout does not write.
    ///
    /// If the elements along a sequence have decisions of their own, its mask changes with the
    /// length to which the batch is padded. [`elementwise`](MaskLayout::elementwise) shows a layout
    /// whose masks do not depend on that length.
    ///
    /// Token dropout is [drop path](MaskLayout::drop_path) of tokens, whose ids are their numbers
    /// in the vocabulary. A token is then dropped everywhere or nowhere, as in Keras 1
    /// ([keras#7290](https://github.com/keras-team/keras/issues/7290)). With ids of `sentence *
    /// vocabulary + token`, each sentence has decisions of its own.
    ///
    /// ```
    /// use wgpu_dropout::{Direction, DropoutCall, DropoutRate, MaskKey, MaskLayout, MaskSource, cpu};
    ///
    /// // "the dog and the cat", an embedding of 16 numbers a token.
    /// let ids = [5, 2, 9, 5, 7];
    /// let layout = MaskLayout::drop_path(&[ids.len() as u64, 16])?;
    /// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::layer_step(42, 0, 7));
    /// let mut embeddings = vec![1.0f32; 5 * 16];
    /// let source = MaskSource::Samples { layout: &layout, ids: &ids };
    /// cpu::apply(Direction::Forward, source, &mut embeddings, &call)?;
    /// assert_eq!(embeddings[..16], embeddings[3 * 16..4 * 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn samples(layout: &'a MaskLayout, ids: wgpu::BufferBinding<'a>) -> Self {
        Self::new(Source::Samples { layout, ids })
    }

    /// `len` elements with a packed mask of the caller, for programs that store a mask instead of
    /// computing it again. The call's key and origin do not matter then; its rate and kind give the
    /// factors. Dropped elements become +0 at any rate. At a rate of 0 kept elements stay as they
    /// are. At a rate of 1 they are multiplied by 0, or stay as they are for
    /// [`Classic`](crate::DropoutKind::Classic).
    ///
    /// `mask` is packed as in \[M15\], in a [`STORAGE`](wgpu::BufferUsages::STORAGE) buffer that
    /// dropout does not write.
    pub const fn packed(mask: wgpu::BufferBinding<'a>, len: u64) -> Self {
        Self::new(Source::Packed { mask, len })
    }

    /// The same elements of the type `element`.
    pub const fn of_type(self, element: ElementType) -> Self {
        Self { element, ..self }
    }

    /// Their type.
    pub(crate) const fn element(&self) -> ElementType {
        self.element
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        match self.source {
            Source::Len(len) | Source::Packed { len, .. } => len,
            Source::Layout(layout) | Source::Samples { layout, .. } => layout.len(),
        }
    }

    /// Returns true if there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks the source of the decisions, and that the kernels can use it.
    pub(crate) fn describe(self, host: &KernelHost) -> Result<Described<'a>, BindError> {
        let len = self.len();
        let Self { source, element } = self;
        let (map, side) = match source {
            Source::Len(_) => (IndexMap::linear(len), None),
            Source::Packed { mask, .. } => {
                let mask = host.checked_mask(&mask, len)?;
                (IndexMap::Packed, Some(mask))
            }
            Source::Layout(layout) => (IndexMap::of_layout(layout, false)?, None),
            Source::Samples { layout, ids } => {
                let map = IndexMap::of_layout(layout, true)?;
                (map, host.checked_ids(layout, &ids)?)
            }
        };
        Ok(Described {
            element,
            map,
            len,
            side,
        })
    }
}

impl From<u64> for Elements<'_> {
    fn from(len: u64) -> Self {
        Self::new(Source::Len(len))
    }
}

impl<'a> From<&'a MaskLayout> for Elements<'a> {
    fn from(layout: &'a MaskLayout) -> Self {
        Self::new(Source::Layout(layout))
    }
}

/// The elements that a binding is for.
pub(crate) struct Described<'a> {
    pub element: ElementType,
    pub map: IndexMap,
    pub len: u64,
    pub side: Option<CheckedRange<'a>>,
}
