//! The axes of a kernel: its entry point, its buffers, the source of its decisions, its map of
//! values.

use core::fmt;

use super::activated::{Activated, Decide, Form};
use super::normed::{NormForm, Normed};
use super::softmaxed::{SoftmaxForm, Softmaxed};
use crate::contract::effect::Effect;
use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;

/// Invocations in a workgroup.
pub const WORKGROUP_SIZE: u32 = 256;

/// The 64-bit product in Philox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Multiply {
    /// By the type `u64`, which needs the feature that wgpu calls `SHADER_INT64`.
    U64,
    /// By 16-bit halves, in WGSL that every implementation accepts.
    Halves,
}

/// The source of a dispatch's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamsSource {
    /// Immediates of the pass, which need the feature that wgpu calls `IMMEDIATES`.
    Immediates,
    /// A uniform buffer in bind group 1.
    Uniform,
    /// One storage buffer at the binding after input and output, which also holds the dimensions of
    /// a layout. This is for runtimes that give a dispatch one bind group and one buffer of
    /// parameters (CubeCL).
    Bound,
}

/// The type by which kernels of whole mask blocks load and store elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockAccess {
    /// By `vec4<u32>`, 16 bytes at once.
    Vectors,
    /// By `u64`, 8 bytes at once, which needs the feature that wgpu calls `SHADER_INT64`. Some
    /// drivers split a vector into four accesses and check the bounds of each.
    U64,
}

/// The conversions of `f16` to `f32` and back in kernels of whole mask blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum F16Conversion {
    /// By integers and sums, which are exact on every device.
    Integers,
    /// By `unpack2x16float` and `pack2x16float`, which are exact on some.
    Hardware,
}

/// The way in which a device runs kernels. Results have the same bits in every way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// The 64-bit product.
    pub multiply: Multiply,
    /// The source of a dispatch's parameters.
    pub params: ParamsSource,
    /// The access to elements by whole mask blocks.
    pub blocks: BlockAccess,
    /// The conversions of `f16`.
    pub f16: F16Conversion,
}

impl Way {
    /// Every way. A device that accesses blocks by `u64` multiplies by it too, and a host that
    /// binds parameters knows neither the driver nor its conversions.
    pub fn all() -> impl Iterator<Item = Self> {
        use ParamsSource::{Bound, Immediates, Uniform};
        const ACCESSES: [(Multiply, BlockAccess); 3] = [
            (Multiply::U64, BlockAccess::Vectors),
            (Multiply::U64, BlockAccess::U64),
            (Multiply::Halves, BlockAccess::Vectors),
        ];
        let conversions = [F16Conversion::Integers, F16Conversion::Hardware].into_iter();
        let accesses = conversions.flat_map(|f16| ACCESSES.map(|access| (access, f16)));
        accesses.flat_map(|((multiply, blocks), f16)| {
            let is_chosen_by_host = blocks == BlockAccess::U64 || f16 == F16Conversion::Hardware;
            let params = [Immediates, Uniform, Bound].into_iter();
            let params = params.filter(move |params| !(is_chosen_by_host && *params == Bound));
            params.map(move |params| Self {
                multiply,
                params,
                blocks,
                f16,
            })
        })
    }
}

/// The arrangement of the buffers that a dropout kernel reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BufferLayout {
    /// Input and output are two buffers.
    Separate,
    /// Input and output are two ranges of one buffer. A device cannot bind one buffer as `read` and
    /// as `read_write` at once, so that both are `read_write`.
    Pooled,
    /// Input and output are one range.
    InPlace,
}

/// The source of an element's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IndexKind {
    /// It is made for consecutive mask indices.
    Linear,
    /// It is made for the mask indices of a layout.
    Strided(Strided),
    /// It is read from a packed mask.
    Packed,
}

impl IndexKind {
    /// The same source without assumptions on the length of rows or the number of dimensions. Its
    /// kernel is right for `self` too.
    pub fn of_any_rows(self) -> Self {
        let Self::Strided(strided) = self else {
            return self;
        };
        let whole_words = false;
        Self::Strided(Strided {
            family: match strided.family {
                Family::Rows { .. } => Family::Rows { whole_words },
                Family::Runs { .. } => Family::Runs { whole_words },
                family => family,
            },
            dimensions: MaskLayout::MAX_DIMENSIONS as u32,
            ..strided
        })
    }

    /// The source for a copy, which makes no decision. Layouts with the same bindings get the same
    /// source, so that their copies share a pipeline.
    pub fn of_copy(self) -> Self {
        match self {
            Self::Strided(Strided { sample_ids, .. }) => Self::Strided(Strided {
                family: Family::Scattered,
                dimensions: MaskLayout::MAX_DIMENSIONS as u32,
                sample_ids,
            }),
            Self::Linear | Self::Packed => self,
        }
    }
}

/// The kernels for a strided layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strided {
    pub family: Family,
    /// One of [`Self::DIMENSIONS`].
    pub dimensions: u32,
    /// True if sample ids replace the outermost coordinate.
    pub sample_ids: bool,
}

impl Strided {
    /// The numbers of dimensions that kernels are made for. A layout with another number is filled
    /// up to the next larger one with dimensions of size 1. The kernels for the largest number skip
    /// these.
    pub const DIMENSIONS: [u32; 4] = [2, 3, 4, MaskLayout::MAX_DIMENSIONS as u32];

    /// Returns true if layouts of any number of dimensions can use the kernel.
    pub fn serves_all(&self) -> bool {
        self.dimensions == MaskLayout::MAX_DIMENSIONS as u32
    }
}

/// The form of a layout's innermost dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// Rows of stride 1 that are made of whole mask blocks, for [`Access::Blocks`].
    BlockRows,
    /// Rows of stride 1, of 32 elements and more.
    Rows {
        /// True if each row is made of whole mask words.
        whole_words: bool,
    },
    /// Runs of stride 0, of 32 elements and more.
    Runs {
        /// True if each run is made of whole mask words.
        whole_words: bool,
    },
    /// Any stride and size. Rows and runs under 32 elements are here too, since a 32-bit mask word
    /// could span three of them.
    Scattered,
}

/// The elements that an invocation processes, and the width of its loads and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// The elements of four mask blocks, 16 bytes at a time.
    Blocks,
    /// The elements of a mask word, 16 bytes at a time.
    Vectors,
    /// The elements of a mask word, 4 bytes at a time.
    Words,
}

/// The operands beside dropout in its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Neighbours {
    /// Dropout alone.
    None,
    /// A residual that is added after dropout; in place it is the output's former content. With
    /// `vectors`, also a bias and a scale that are applied before dropout \[M23\].
    Add {
        /// True if there is a bias, a scale or both.
        vectors: bool,
        /// True if residual and sum are `f32` while the branch has 16 bits.
        wide: bool,
    },
    /// A scale that is applied after dropout, as the backward of [`Self::Add`] needs.
    Scale {
        /// True if the sum's gradient is `f32` while the branch has 16 bits.
        wide: bool,
    },
}

impl Neighbours {
    /// The type of the residual, of the sum and of the sum's gradient, for a branch of `element`.
    pub fn stream(self, element: ElementType) -> ElementType {
        match self {
            Self::Add { wide: true, .. } | Self::Scale { wide: true } => ElementType::F32,
            _ => element,
        }
    }
}

/// The matrix whose columns are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Terms {
    /// A stored matrix.
    Stored,
    /// The terms of a scale's gradient \[M23\], computed from the forward's input, with or without
    /// a bias.
    Scale {
        mask: IndexKind,
        /// [`Effect::Copy`] if nothing is dropped.
        effect: Effect,
        bias: bool,
        /// True if the output's gradient is `f32` while the input has 16 bits.
        wide: bool,
    },
    /// The terms of the gradient of a norm's γ \[M25\].
    Norm,
}

/// Rows that one workgroup adds.
pub(crate) const TILE_ROWS: u32 = 64;

/// Columns whose totals one workgroup computes.
pub(crate) const TOTALS_PER_WORKGROUP: u32 = 16;

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Dropout {
        element: ElementType,
        buffers: BufferLayout,
        mask: IndexKind,
        neighbours: Neighbours,
        effect: Effect,
        access: Access,
    },
    Activated(Activated),
    Normed(Normed),
    /// Mean and deviation of rows.
    NormMoments(ElementType),
    Softmaxed(Softmaxed),
    KeepMask(IndexKind),
    /// The sums of a matrix's columns over the rows of each tile.
    ColumnTiles {
        element: ElementType,
        terms: Terms,
    },
    /// The sums of columns over all tiles.
    ColumnTotals,
    PhiloxBlocks {
        rounds: u32,
    },
}

/// A buffer's purpose in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The elements that are read.
    Input,
    /// The elements that are written.
    Output,
    /// The elements that are read and overwritten.
    Data,
    /// A packed mask, read or written.
    Mask,
    /// The dimensions of a layout.
    Dimensions,
    /// The ids of samples.
    SampleIds,
    /// The elements that are added.
    Residual,
    /// The other factor of a gate's output.
    Up,
    /// The sum of a residual and a branch.
    Sum,
    /// A gradient after dropout.
    Masked,
    /// The probabilities of a softmax before dropout.
    Probabilities,
    /// Mean and deviation of rows, in the scratch memory of γ's gradient.
    Moments,
    /// Sample ids or a packed mask, for kernels that take either.
    Side,
    /// A bias, a scale, or a bias with a scale behind it.
    Vectors,
    /// The gradient of an output.
    Gradient,
    /// Sums of a matrix's tiles, in the scratch memory of a sum of columns.
    Scratch,
    /// Sums of columns.
    Sums,
    /// Raw Philox blocks.
    Blocks,
    /// Parameters.
    Params,
}

/// The way in which a buffer is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BufferAccess {
    /// `var<uniform>`.
    Uniform,
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// A buffer that a kernel binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffer {
    /// Its content.
    pub role: Role,
    /// `@group` index.
    pub group: u32,
    /// `@binding` index.
    pub binding: u32,
    /// The way in which it is bound.
    pub access: BufferAccess,
}

impl Kernel {
    /// The entry point's name.
    pub fn entry_point(self) -> &'static str {
        match self {
            Self::Dropout {
                access: Access::Blocks,
                ..
            } => "dropout_blocks",
            Self::Dropout { .. } => "dropout_words",
            Self::Activated(_) => "activated_words",
            Self::Normed(normed) if normed.form.is_gradient() => "norm_gradient",
            Self::Normed(_) => "norm_rows",
            Self::NormMoments(_) => "norm_moments",
            Self::Softmaxed(softmaxed) => match softmaxed.form {
                SoftmaxForm::Forward => "softmax_rows",
                SoftmaxForm::Gradient | SoftmaxForm::GradientFromProbabilities => {
                    "softmax_gradient"
                }
            },
            Self::KeepMask(_) => "keep_mask",
            Self::ColumnTiles { .. } => "column_tiles",
            Self::ColumnTotals => "column_totals",
            Self::PhiloxBlocks { .. } => "philox_blocks",
        }
    }

    /// Number of elements or raw blocks that a workgroup processes. For kernels of rows or columns
    /// it is the number of invocations.
    pub fn per_workgroup(self) -> u32 {
        let per_invocation = match self {
            Self::Dropout { .. } | Self::Activated(_) | Self::KeepMask(_) => ELEMENTS_PER_MASK_WORD,
            Self::Normed(_)
            | Self::NormMoments(_)
            | Self::Softmaxed(_)
            | Self::ColumnTiles { .. }
            | Self::ColumnTotals
            | Self::PhiloxBlocks { .. } => 1,
        };
        WORKGROUP_SIZE * per_invocation
    }

    /// The buffers that it binds, in the order of their binding numbers. All are in group 0, except
    /// a uniform of parameters, which is alone in group 1.
    pub fn buffers(self, params: ParamsSource) -> Vec<Buffer> {
        use BufferAccess::{Read, ReadWrite, Uniform};
        let mut group_0 = match self {
            Self::Activated(activated) => activated_buffers(activated),
            Self::Normed(normed) => normed_buffers(normed),
            Self::NormMoments(_) => vec![(Role::Sum, Read), (Role::Moments, ReadWrite)],
            Self::Softmaxed(softmaxed) => softmaxed_buffers(softmaxed),
            Self::KeepMask(_) => vec![(Role::Mask, ReadWrite)],
            Self::PhiloxBlocks { .. } => vec![(Role::Blocks, ReadWrite)],
            Self::ColumnTiles { terms, .. } => match terms {
                Terms::Stored => vec![(Role::Input, Read)],
                Terms::Scale { .. } => vec![(Role::Input, Read), (Role::Gradient, Read)],
                Terms::Norm => vec![
                    (Role::Input, Read),
                    (Role::Gradient, Read),
                    (Role::Moments, Read),
                ],
            },
            Self::ColumnTotals => vec![(Role::Scratch, Read), (Role::Sums, ReadWrite)],
            Self::Dropout {
                buffers,
                neighbours: Neighbours::Add { .. },
                ..
            } => {
                let mut three = vec![(Role::Input, ReadWrite), (Role::Output, ReadWrite)];
                if buffers != BufferLayout::InPlace {
                    three.push((Role::Residual, ReadWrite));
                }
                three
            }
            Self::Dropout { buffers, .. } => match buffers {
                BufferLayout::Separate => vec![(Role::Input, Read), (Role::Output, ReadWrite)],
                BufferLayout::Pooled => vec![(Role::Input, ReadWrite), (Role::Output, ReadWrite)],
                BufferLayout::InPlace => vec![(Role::Data, ReadWrite)],
            },
        };
        // This does not use `self.mask()`, which is `None` for a copy: a copy has the bindings of
        // its mask, although it does not read them.
        if let Self::Dropout { mask, .. }
        | Self::KeepMask(mask)
        | Self::ColumnTiles {
            terms: Terms::Scale { mask, .. },
            ..
        } = self
        {
            match mask {
                IndexKind::Linear => {}
                IndexKind::Packed => group_0.push((Role::Mask, Read)),
                IndexKind::Strided(strided) => {
                    if params != ParamsSource::Bound {
                        group_0.push((Role::Dimensions, Uniform));
                    }
                    if strided.sample_ids {
                        group_0.push((Role::SampleIds, Read));
                    }
                }
            }
        }
        if self.has_vectors() {
            group_0.push((Role::Vectors, Read));
        }
        if let Self::ColumnTiles { .. } = self {
            group_0.push((Role::Scratch, ReadWrite));
        }
        if params == ParamsSource::Bound {
            group_0.push((Role::Params, Read));
        }
        let mut buffers: Vec<_> = (0..)
            .zip(group_0)
            .map(|(binding, (role, access))| Buffer {
                role,
                group: 0,
                binding,
                access,
            })
            .collect();
        if params == ParamsSource::Uniform {
            buffers.push(Buffer {
                role: Role::Params,
                group: 1,
                binding: 0,
                access: Uniform,
            });
        }
        buffers
    }

    /// Number of storage buffers that it binds, parameters not counted.
    #[cfg(any(test, feature = "wgpu"))]
    pub fn storage_buffers(self) -> usize {
        let buffers = self.buffers(ParamsSource::Immediates).into_iter();
        buffers
            .filter(|buffer| buffer.access != BufferAccess::Uniform)
            .count()
    }

    /// The source of decisions, or `None` for a kernel that makes no decision, such as a copy.
    pub fn mask(self) -> Option<IndexKind> {
        match self {
            Self::Dropout { mask, effect, .. }
            | Self::ColumnTiles {
                terms: Terms::Scale { mask, effect, .. },
                ..
            } if effect != Effect::Copy => Some(mask),
            Self::KeepMask(mask) => Some(mask),
            _ => None,
        }
    }

    /// Returns true if the kernel has operands beside dropout.
    pub fn has_neighbours(self) -> bool {
        matches!(self, Self::Dropout { neighbours, .. } if neighbours != Neighbours::None)
    }

    /// Returns true if the kernel reads a bias or a scale.
    pub fn has_vectors(self) -> bool {
        match self {
            Self::Dropout { neighbours, .. } => match neighbours {
                Neighbours::None => false,
                Neighbours::Add { vectors, .. } => vectors,
                Neighbours::Scale { .. } => true,
            },
            Self::ColumnTiles {
                terms: Terms::Scale { bias, .. },
                ..
            } => bias,
            _ => false,
        }
    }

    /// Returns true if the kernel can take [`ParamsSource::Bound`], as other runtimes need. Such a
    /// kernel reads and writes two ranges of one buffer, and binds nothing else but its parameters.
    pub fn takes_bound_params(self) -> bool {
        let lone = match self.mask() {
            Some(IndexKind::Packed) => false,
            Some(IndexKind::Strided(strided)) => !strided.sample_ids,
            Some(IndexKind::Linear) | None => true,
        };
        let pooled = matches!(
            self,
            Self::Dropout {
                buffers: BufferLayout::Pooled,
                neighbours: Neighbours::None,
                ..
            }
        );
        lone && pooled
    }

    /// Returns true if the kernel computes random numbers.
    pub fn draws(self) -> bool {
        match self {
            Self::Activated(_) | Self::Normed(_) | Self::Softmaxed(_) => true,
            Self::NormMoments(_) => false,
            Self::Dropout { .. }
            | Self::KeepMask(_)
            | Self::ColumnTiles { .. }
            | Self::ColumnTotals => !matches!(self.mask(), None | Some(IndexKind::Packed)),
            Self::PhiloxBlocks { .. } => true,
        }
    }

    /// Returns true if the kernel decides whole mask blocks, for which [`Way::blocks`] counts.
    pub fn decides_blocks(self) -> bool {
        matches!(
            self,
            Self::Dropout {
                effect: Effect::Scale | Effect::Keep | Effect::Affine,
                access: Access::Blocks,
                ..
            }
        )
    }

    /// Returns true if [`Way::f16`] counts for the kernel.
    pub fn converts_f16(self) -> bool {
        matches!(
            self,
            Self::Dropout {
                element: ElementType::F16,
                effect: Effect::Scale,
                access: Access::Blocks,
                ..
            }
        )
    }

    /// The ways in which a device can run it. Each way has a text of its own.
    pub fn ways(self) -> impl Iterator<Item = Way> {
        Way::all().filter(move |way| {
            (self.draws() || way.multiply == Multiply::Halves)
                && (self.takes_bound_params() || way.params != ParamsSource::Bound)
                && (self.decides_blocks() || way.blocks == BlockAccess::Vectors)
                && (self.converts_f16() || way.f16 == F16Conversion::Integers)
        })
    }
}

/// The buffers of an activation. They may all be ranges of one buffer, and so all are bound as
/// `read_write`.
fn activated_buffers(kernel: Activated) -> Vec<(Role, BufferAccess)> {
    let ranges: &[Role] = match kernel.form {
        Form::Forward => &[Role::Input, Role::Output],
        Form::Gradient | Form::GatedGradient => &[Role::Gradient, Role::Input, Role::Output],
        Form::Gated => &[Role::Input, Role::Up, Role::Output],
    };
    buffers_by_mode(ranges, kernel.decide)
}

/// The buffers of a norm, bound as those of an activation.
fn normed_buffers(kernel: Normed) -> Vec<(Role, BufferAccess)> {
    let ranges: &[Role] = match kernel.form {
        NormForm::Forward => &[Role::Input, Role::Sum, Role::Output],
        NormForm::ForwardApart => &[Role::Input, Role::Residual, Role::Sum, Role::Output],
        NormForm::Gradient => &[Role::Gradient, Role::Sum, Role::Output],
        NormForm::GradientApart => &[Role::Gradient, Role::Sum, Role::Output, Role::Masked],
    };
    buffers_by_mode(ranges, kernel.decide)
}

/// The buffers of a softmax, bound as those of an activation.
fn softmaxed_buffers(kernel: Softmaxed) -> Vec<(Role, BufferAccess)> {
    let ranges = match kernel.form {
        SoftmaxForm::Forward => [Role::Input, Role::Output, Role::Probabilities],
        SoftmaxForm::Gradient | SoftmaxForm::GradientFromProbabilities => {
            [Role::Gradient, Role::Input, Role::Output]
        }
    };
    buffers_by_mode(&ranges, kernel.decide)
}

/// The buffers of a kernel that takes its modes from parameters: its ranges, then the buffers that
/// some mode uses.
fn buffers_by_mode(ranges: &[Role], decide: Decide) -> Vec<(Role, BufferAccess)> {
    let ranges = ranges.iter().map(|role| (*role, BufferAccess::ReadWrite));
    let side = (decide == Decide::BySide).then_some((Role::Side, BufferAccess::Read));
    ranges
        .chain([(Role::Dimensions, BufferAccess::Uniform)])
        .chain(side)
        .chain([(Role::Vectors, BufferAccess::Read)])
        .collect()
}

impl fmt::Display for Role {
    /// The name in words: `sample ids`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SampleIds => "sample ids",
            Self::Gradient => "gradient of the output",
            Self::Masked => "masked gradient",
            role => role.name(),
        })
    }
}

impl Role {
    /// Returns true if a binding of this role can take a range of role `other`.
    #[cfg(feature = "wgpu")]
    pub(crate) fn takes(self, other: Self) -> bool {
        self == other || self == Self::Side && matches!(other, Self::SampleIds | Self::Mask)
    }

    /// The name of its variable in the text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Data => "data",
            Self::Mask => "mask",
            Self::Dimensions => "dimensions",
            Self::SampleIds => "sample_ids",
            Self::Residual => "residual",
            Self::Up => "up",
            Self::Sum => "sum",
            Self::Masked => "masked",
            Self::Moments => "moments",
            Self::Probabilities => "probabilities",
            Self::Gradient => "gradient",
            Self::Side => "side",
            Self::Vectors => "vectors",
            Self::Scratch => "scratch",
            Self::Sums => "sums",
            Self::Blocks => "blocks",
            Self::Params => "params",
        }
    }
}
