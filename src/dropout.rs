//! Dropout on the caller's buffers: build, bind, record.

use crate::binding::CheckedRange;
use crate::call::DropoutCall;
use crate::choice::{Choice, Map, backward, cut, forward, unit};
use crate::element::ElementType;
use crate::error::{BindError, CreateError, IndexOverflow};
use crate::geometry::{Geometry, Segment};
use crate::kernel::{KernelDescriptor, KernelHost};
use crate::layout::MaskLayout;
use crate::mask::{ELEMENTS_PER_MASK_WORD, MaskPosition, mask_words};
use crate::params::MaskParams;
use crate::source::{Access, BufferLayout, Kernel, ValueMap};

/// Bytes of a mask word and of a sample id.
const WORD_BYTES: u64 = 4;

/// Dropout kernels on one device.
///
/// Holds a handle of the device and its pipelines; never a queue. It submits, polls and maps
/// nothing outside the [blocking](crate#blocking) calls. Pipelines are compiled at their first
/// use, or before it by [`compile`](Self::compile). All methods take `&self`, so that one value
/// serves all layers and threads.
///
/// # Determinism
///
/// `gpu_to_gpu` and to the CPU: the mask is a function of the call and the element's mask index
/// alone \[M1\], not of its [type](ElementType); values follow \[M11\] to the bit, subnormals excepted, and those of
/// [`Alpha`](crate::DropoutKind::Alpha), which may be off by a rounding.
#[derive(Debug)]
pub struct Dropout {
    host: KernelHost,
    /// Of elements of 4 bytes and of 2.
    geometry: [Geometry; 2],
}

/// The elements of a tensor and where their decisions come from. A length or a layout converts
/// into it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Elements<'a> {
    /// So many elements with consecutive mask indices.
    Len(u64),
    /// Elements of a layout.
    Layout(&'a MaskLayout),
    /// Samples, the layout's first dimension, each with an id of its own: the coordinate of the
    /// sample at place i of the batch is `ids[i]` in the place of i \[M16\], so that its mask does
    /// not depend on its place, on padding or on the batch's size. Ids count from the layout's first
    /// index: a batch that is cut over devices takes layouts that begin at sample 0.
    Samples {
        /// The batch.
        layout: &'a MaskLayout,
        /// A `u32` for each sample, in a [`STORAGE`](wgpu::BufferUsages::STORAGE) buffer that
        /// dropout does not write.
        ids: wgpu::BufferBinding<'a>,
    },
    /// A mask from outside, kept where recomputation is unwanted: the call's key and origin play no
    /// role, its rate gives the factors. A rate of 0 leaves kept elements as they are and drops to
    /// +0; a rate of 1 multiplies kept ones by 0, or for
    /// [`Classic`](crate::DropoutKind::Classic) leaves them too.
    Packed {
        /// Packed as in \[M15\], in a [`STORAGE`](wgpu::BufferUsages::STORAGE) buffer that dropout
        /// does not write.
        mask: wgpu::BufferBinding<'a>,
        /// Elements.
        len: u64,
    },
}

impl From<u64> for Elements<'_> {
    fn from(len: u64) -> Self {
        Self::Len(len)
    }
}

impl<'a> From<&'a MaskLayout> for Elements<'a> {
    fn from(layout: &'a MaskLayout) -> Self {
        Self::Layout(layout)
    }
}

impl<'a> Elements<'a> {
    /// These elements, of the type `element`. Without it they are `f32`.
    pub fn of_type(self, element: ElementType) -> TypedElements<'a> {
        TypedElements {
            elements: self,
            element,
        }
    }
}

/// Elements and their type; made by [`Elements::of_type`]. What converts into [`Elements`]
/// converts into `f32` ones.
#[derive(Clone, Debug)]
pub struct TypedElements<'a> {
    elements: Elements<'a>,
    element: ElementType,
}

impl<'a, E: Into<Elements<'a>>> From<E> for TypedElements<'a> {
    fn from(elements: E) -> Self {
        elements.into().of_type(ElementType::F32)
    }
}

/// Checked buffers of one tensor, ready for any number of calls; made by [`Dropout::bind`] and
/// [`Dropout::bind_in_place`].
///
/// It keeps the buffers alive and belongs to the device of the [`Dropout`] that made it.
#[derive(Debug)]
pub struct DropoutBinding {
    element: ElementType,
    buffers: BufferLayout,
    map: Map,
    len: u64,
    segments: Vec<BoundSegment>,
}

#[derive(Debug)]
struct BoundSegment {
    segment: Segment,
    group: wgpu::BindGroup,
    /// First word of the packed mask's window that is the segment's.
    mask_word: u32,
}

impl DropoutBinding {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many dispatches one call records at most: more than one where the tensor is longer than a
    /// binding or a dispatch of the device, and one for the last elements of a long tensor whose
    /// length is no multiple of 8.
    pub fn dispatches(&self) -> usize {
        self.segments.len()
    }
}

/// What a binding needs beside input and output.
struct Plan<'a> {
    element: ElementType,
    map: Map,
    len: u64,
    /// Sample ids or a packed mask.
    extra: Option<CheckedRange<'a>>,
}

impl Dropout {
    /// Prepares the kernels for `device`, which needs no feature and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        // Input, output, and a mask or sample ids.
        let host = KernelHost::new(device, descriptor, 3, size_of::<MaskParams>())?;
        Ok(Self {
            geometry: [
                Geometry::new(&device.limits(), unit(ElementType::F32))?,
                Geometry::new(&device.limits(), unit(ElementType::F16))?,
            ],
            host,
        })
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// For an audit: as on a device whose dispatches take `granules` at most, with `room_bytes` behind
    /// the elements of a window.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            geometry: self.geometry.map(|geometry| geometry.lowered(granules)),
        }
    }

    /// Binds `elements` of `input` and of `output`: for forward the layer's input and output, for
    /// backward `grad_output` and `grad_input`. `elements` is a length, a [`MaskLayout`] or one of
    /// [`Elements`], of `f32` or [of another type](Elements::of_type).
    ///
    /// Both need [`wgpu::BufferUsages::STORAGE`], an offset aligned to the device's
    /// `min_storage_buffer_offset_alignment` and the bytes of the elements: 4 each of `f32`; 2 each of
    /// a type of 16 bits, and behind an odd number of them 2 more, which stay as they are. They may
    /// be ranges of one buffer, if these bytes do not overlap. Bytes behind them are neither read nor
    /// written. Any length will do: longer tensors than the device binds or dispatches at once
    /// are cut, with the same bits. A length of 0 records nothing.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        elements: impl Into<TypedElements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        let plan = self.plan(elements.into())?;
        let input = self
            .host
            .checked("input", &input, plan.len, plan.element.bytes())?;
        let output = self
            .host
            .checked("output", &output, plan.len, plan.element.bytes())?;
        let buffers = BufferLayout::of(&input, &output)?;
        self.bind_ranges(buffers, &[input, output], plan)
    }

    /// Binds `elements` of `data`, which are overwritten by the result. Requirements and errors as
    /// for [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        data: wgpu::BufferBinding<'_>,
        elements: impl Into<TypedElements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        let plan = self.plan(elements.into())?;
        let data = self
            .host
            .checked("data", &data, plan.len, plan.element.bytes())?;
        self.bind_ranges(BufferLayout::InPlace, &[data], plan)
    }

    fn plan<'a>(&self, elements: TypedElements<'a>) -> Result<Plan<'a>, BindError> {
        let TypedElements { elements, element } = elements;
        let (layout, ids) = match elements {
            Elements::Len(len) => {
                return Ok(Plan {
                    element,
                    map: Map::Linear { first_index: 0 },
                    len,
                    extra: None,
                });
            }
            Elements::Packed { mask, len } => {
                let mask = self
                    .host
                    .checked("mask", &mask, mask_words(len), WORD_BYTES)?;
                return Ok(Plan {
                    element,
                    map: Map::Packed,
                    len,
                    extra: Some(mask),
                });
            }
            Elements::Layout(layout) => (layout, None),
            Elements::Samples { layout, ids } => (layout, Some(ids)),
        };
        let map = Map::of_layout(layout, ids.is_some())?;
        let ids = ids.filter(|_| !layout.is_empty());
        let ids = ids.map(|ids| self.host.checked_ids(layout, &ids));
        Ok(Plan {
            element,
            map,
            len: layout.len(),
            extra: ids.transpose()?,
        })
    }

    fn bind_ranges(
        &self,
        buffers: BufferLayout,
        ranges: &[CheckedRange<'_>],
        plan: Plan<'_>,
    ) -> Result<DropoutBinding, BindError> {
        let Plan {
            element,
            map,
            len,
            extra,
        } = plan;
        // The last range is written; in a pool the first one counts as written too.
        let read = usize::from(buffers == BufferLayout::Separate);
        if let Some(extra) = &extra {
            let role = if matches!(map, Map::Packed) {
                "mask"
            } else {
                "sample ids"
            };
            if ranges[read..].iter().any(|range| range.same_buffer(extra)) {
                return Err(BindError::WrittenBuffer { role });
            }
        }
        let kernel = Kernel::Dropout {
            element,
            buffers,
            mask: map.source(false),
            value: ValueMap::Scale,
            access: Access::Words,
        };
        let group_layout = self.host.group_layout(kernel);
        let bind = |segment: Segment| {
            let windows = ranges.iter().map(|range| range.window(segment));
            let mut bindings: Vec<_> = (0..).zip(windows).collect();
            let mut mask_word = 0;
            let dimensions = match &map {
                Map::Strided { layout, .. } => {
                    let params = layout.params(segment.start);
                    Some(self.host.uniform(bytemuck::bytes_of(&params)))
                }
                _ => None,
            };
            if let Some(dimensions) = &dimensions {
                bindings.push((2, dimensions.as_entire_buffer_binding()));
            }
            match (&map, &extra) {
                (Map::Packed, Some(mask)) => {
                    let alignment = self
                        .host
                        .device
                        .limits()
                        .min_storage_buffer_offset_alignment;
                    let (window, word) = mask.mask_window(segment, alignment);
                    bindings.push((2, window));
                    mask_word = word;
                }
                (_, Some(ids)) => bindings.push((3, ids.whole())),
                (_, None) => {}
            }
            let group = self.host.group(&group_layout, &bindings);
            BoundSegment {
                segment,
                group,
                mask_word,
            }
        };
        let geometry = &self.geometry[usize::from(element.bytes() == 2)];
        let segments = cut(geometry, len).map(bind).collect();
        Ok(DropoutBinding {
            element,
            buffers,
            map,
            len,
            segments,
        })
    }

    /// Compiles the pipelines of [`encode_forward`](Self::encode_forward) and
    /// [`encode_backward`](Self::encode_backward) with this `binding` and `call`, so that a first
    /// step does not wait for them. Calls share them, whatever their keys, if their rates are of
    /// one [kind](crate::DropoutRate::kind) and both drop something or nothing, and if their origins
    /// have the same remainder by 8.
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if a mask index passes 2^64 - 1; nothing was compiled then.
    pub fn compile(
        &self,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        let kind = call.rate.kind();
        for value in [forward(kind), backward(kind)] {
            for dispatch in dispatches(binding, call, value)? {
                self.host.compile(dispatch.kernel);
            }
        }
        Ok(())
    }

    /// Records `output = dropout(input)`.
    ///
    /// Sets the pass's pipeline, bind group 0 and either immediates or bind group 1; set your own
    /// again for a dispatch that follows. A rate that drops nothing is a bit copy, and in place
    /// records nothing.
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`] if a mask index passes 2^64 - 1; nothing was recorded then.
    pub fn encode_forward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        self.encode(pass, binding, call, forward(call.rate.kind()))
    }

    /// Records `grad_input = dropout'(grad_output)`: the forward's call gives the forward's mask
    /// \[M14\], kept gradients are multiplied by [`keep_scale`](crate::DropoutRate::keep_scale), the
    /// others are +0. Effects as for [`encode_forward`](Self::encode_forward).
    ///
    /// # Errors
    ///
    /// [`IndexOverflow`], as forward; nothing was recorded then.
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), IndexOverflow> {
        self.encode(pass, binding, call, backward(call.rate.kind()))
    }

    fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
        value: ValueMap,
    ) -> Result<(), IndexOverflow> {
        for dispatch in dispatches(binding, call, value)? {
            let BoundSegment { segment, group, .. } = dispatch.bound;
            let params = MaskParams::new(call, dispatch.position, segment.len);
            self.host.dispatch(
                pass,
                dispatch.kernel,
                group,
                bytemuck::bytes_of(&params),
                segment.len.div_ceil(ELEMENTS_PER_MASK_WORD),
            );
        }
        Ok(())
    }
}

/// What is recorded for a segment.
struct Dispatch<'a> {
    kernel: Kernel,
    bound: &'a BoundSegment,
    /// Where its decisions begin.
    position: MaskPosition,
}

/// What a call records, in its order.
fn dispatches<'a>(
    binding: &'a DropoutBinding,
    call: &DropoutCall,
    value: ValueMap,
) -> Result<impl Iterator<Item = Dispatch<'a>>, IndexOverflow> {
    let DropoutBinding {
        element,
        buffers,
        map,
        len,
        segments,
    } = binding;
    let choice = Choice::new(*element, *buffers, map, *len, call, value)?;
    let segments = if choice.is_nothing() {
        &[][..]
    } else {
        segments
    };
    Ok(segments.iter().map(move |bound| Dispatch {
        kernel: choice.kernel(bound.segment),
        bound,
        position: match map {
            Map::Packed => MaskPosition {
                block: bound.mask_word.into(),
                lane: 0,
            },
            Map::Linear { .. } | Map::Strided { .. } => choice.position(bound.segment),
        },
    }))
}
