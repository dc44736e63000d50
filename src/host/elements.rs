//! The elements that are dropped, as a caller describes them.

use super::device::KernelHost;
use super::error::BindError;
use super::range::CheckedRange;
use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::plan::index_map::IndexMap;

/// The elements of a tensor: where their decisions come from, and their type. A length or a layout
/// converts into it, of `f32`.
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

    /// Samples, the layout's first dimension, each with an id of its own: `ids[i]` stands for row
    /// number i in the mask index \[M16\]. So a sample's mask does not depend on where it stands in the batch,
    /// on the batch's size or on samples that pad the batch. Ids count from the layout's first index: a
    /// batch that is cut over devices takes layouts that begin at sample 0.
    ///
    /// `ids` has a `u32` for each sample, in a [`STORAGE`](wgpu::BufferUsages::STORAGE) buffer that dropout
    /// does not write.
    ///
    /// Sequences that are padded to the batch's longest have another mask for another length, where
    /// decisions are made along them: [`elementwise`](MaskLayout::elementwise) shows the layout that
    /// does not.
    ///
    /// Token dropout is [drop path](MaskLayout::drop_path) of tokens, whose ids are their numbers in
    /// the vocabulary: a word is dropped wherever it stands or nowhere, as by Keras 1
    /// ([keras#7290](https://github.com/keras-team/keras/issues/7290)). Ids of
    /// `sentence * vocabulary + token` decide for each sentence apart.
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

    /// `len` elements with a mask from outside, kept where recomputation is unwanted: the call's key and
    /// origin play no role, its rate and kind give the factors. A rate of 0 leaves kept elements as they
    /// are and drops to +0; a rate of 1 multiplies kept ones by 0, or for
    /// [`Classic`](crate::DropoutKind::Classic) leaves them too.
    ///
    /// `mask` is packed as in \[M15\], in a [`STORAGE`](wgpu::BufferUsages::STORAGE) buffer that dropout does
    /// not write.
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

    /// Checks the source of the decisions, and that the kernels take it.
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
