//! The WGSL of each kernel, put together: the only file that knows the shader files' names.
//!
//! A module is a prelude of `const` and `alias`, then files joined as they are. WGSL does not care
//! about the order of declarations.

use crate::contract::element::ElementType;
use crate::contract::mask::ELEMENTS_PER_MASK_WORD;
use crate::kernel::wgsl::Buffer;

/// Invocations in a workgroup.
pub(crate) const WORKGROUP_SIZE: u32 = 256;

/// The 64-bit product in Philox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Multiply {
    /// By the type `u64`: needs [`wgpu::Features::SHADER_INT64`].
    U64,
    /// By 16-bit halves.
    Halves,
}

/// Where parameters come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ParamsSource {
    /// The pass: needs [`wgpu::Features::IMMEDIATES`].
    Immediates,
    /// A uniform buffer in bind group 1.
    Uniform,
    /// A buffer behind input and output, which has the dimensions too: all that a runtime with one
    /// bind group and one buffer of parameters a dispatch offers.
    Bound,
}

/// Which buffers a dropout kernel reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BufferLayout {
    /// Two buffers.
    Separate,
    /// Two ranges of one buffer.
    Pooled,
    /// One range.
    InPlace,
}

/// Where decisions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MaskSource {
    /// Consecutive mask indices.
    Linear,
    Strided(Strided),
    /// A packed mask.
    Packed,
}

impl MaskSource {
    /// For a copy, which makes no decision: one for all layouts with the same bindings, so that
    /// they share its pipeline.
    pub fn of_copy(self) -> Self {
        match self {
            Self::Strided(Strided { sample_ids, .. }) => Self::Strided(Strided {
                family: Family::Scattered,
                whole_words: false,
                dimensions: 1,
                sample_ids,
            }),
            Self::Linear | Self::Packed => self,
        }
    }
}

/// A strided layout's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strided {
    pub family: Family,
    /// Whether rows or runs are of whole mask words.
    pub whole_words: bool,
    /// After folding.
    pub dimensions: u32,
    /// Whether ids stand for the outermost coordinate.
    pub sample_ids: bool,
}

/// What the innermost dimension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// Stride 1.
    Rows,
    /// Stride 0.
    Runs,
    /// Any stride, or so few elements that a mask word could have parts of three rows or runs.
    Scattered,
}

/// What a kernel does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ValueMap {
    /// Scaled or 0.
    Scale,
    /// Unchanged or 0.
    Keep,
    /// An affine map's or a constant.
    Affine,
    /// Copied, all of them: no mask is made.
    Copy,
}

/// What an invocation loads and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// The elements of four mask blocks, 16 bytes at a time.
    Blocks,
    /// The elements of a mask word, 16 bytes at a time.
    Vectors,
    /// The elements of a mask word, 4 bytes at a time.
    Words,
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Dropout {
        element: ElementType,
        buffers: BufferLayout,
        mask: MaskSource,
        value: ValueMap,
        access: Access,
    },
    Gaussian {
        buffers: BufferLayout,
    },
    KeepMask(MaskSource),
    PhiloxBlocks {
        rounds: u32,
    },
}

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name, ".wgsl"))
    };
}

impl Kernel {
    /// The entry point, and the file of that name in which it stands.
    fn entry(self) -> (&'static str, &'static str) {
        macro_rules! entry {
            ($name:literal) => {
                ($name, shader!($name))
            };
        }
        match self {
            Self::Dropout {
                access: Access::Blocks,
                ..
            } => entry!("dropout_blocks"),
            Self::Dropout { .. } => entry!("dropout_words"),
            Self::Gaussian { .. } => entry!("gaussian"),
            Self::KeepMask(_) => entry!("keep_mask"),
            Self::PhiloxBlocks { .. } => entry!("philox_blocks"),
        }
    }

    /// The entry point's name.
    pub fn entry_point(self) -> &'static str {
        self.entry().0
    }

    /// What a whole workgroup takes: elements, or raw blocks.
    pub fn per_workgroup(self) -> u32 {
        let per_invocation = match self {
            Self::Dropout { .. } | Self::KeepMask(_) => ELEMENTS_PER_MASK_WORD,
            // A block of whole words [M18].
            Self::Gaussian { .. } => 4,
            Self::PhiloxBlocks { .. } => 1,
        };
        WORKGROUP_SIZE * per_invocation
    }

    /// What is bound, as the io, map and params files declare it.
    pub fn buffers(self, params: ParamsSource) -> Vec<Buffer> {
        use wgpu::BufferBindingType::{Storage, Uniform};
        const READ: wgpu::BufferBindingType = Storage { read_only: true };
        const WRITE: wgpu::BufferBindingType = Storage { read_only: false };
        let mut buffers = Vec::new();
        let mut bind = |name, group, binding, ty| {
            buffers.push(Buffer {
                name,
                group,
                binding,
                ty,
            });
        };
        match self {
            Self::KeepMask(_) => bind("mask", 0, 0, WRITE),
            Self::PhiloxBlocks { .. } => bind("blocks", 0, 0, WRITE),
            Self::Dropout { buffers, .. } | Self::Gaussian { buffers } => match buffers {
                BufferLayout::Separate => {
                    bind("input", 0, 0, READ);
                    bind("output", 0, 1, WRITE);
                }
                BufferLayout::Pooled => {
                    bind("input", 0, 0, WRITE);
                    bind("output", 0, 1, WRITE);
                }
                BufferLayout::InPlace => bind("data", 0, 0, WRITE),
            },
        }
        // Not `self.mask()`: a copy has the bindings of a mask that it does not read.
        if let Self::Dropout { mask, .. } | Self::KeepMask(mask) = self {
            match mask {
                MaskSource::Linear => {}
                MaskSource::Packed => bind("mask", 0, 2, READ),
                MaskSource::Strided(strided) => {
                    if params != ParamsSource::Bound {
                        bind("dimensions", 0, 2, Uniform);
                    }
                    if strided.sample_ids {
                        bind("sample_ids", 0, 3, READ);
                    }
                }
            }
        }
        match params {
            ParamsSource::Immediates => {}
            ParamsSource::Uniform => bind("params", 1, 0, Uniform),
            ParamsSource::Bound => bind("params", 0, 2, READ),
        }
        buffers
    }

    /// Where decisions come from; a copy makes none.
    pub fn mask(self) -> Option<MaskSource> {
        match self {
            Self::Dropout { mask, value, .. } if value != ValueMap::Copy => Some(mask),
            Self::KeepMask(mask) => Some(mask),
            _ => None,
        }
    }

    /// Whether another runtime can dispatch it, with [`ParamsSource::Bound`]: input and output may be
    /// ranges of one buffer there, and no third one is needed.
    pub fn takes_bound_params(self) -> bool {
        let lone = match self.mask() {
            Some(MaskSource::Packed) => false,
            Some(MaskSource::Strided(strided)) => !strided.sample_ids,
            Some(MaskSource::Linear) | None => true,
        };
        let pooled = matches!(
            self,
            Self::Dropout {
                buffers: BufferLayout::Pooled,
                ..
            }
        );
        lone && pooled
    }

    /// Whether random numbers are drawn.
    pub fn draws(self) -> bool {
        match self {
            Self::Dropout { .. } | Self::KeepMask(_) => {
                !matches!(self.mask(), None | Some(MaskSource::Packed))
            }
            Self::Gaussian { .. } | Self::PhiloxBlocks { .. } => true,
        }
    }

    /// The names that the files leave open.
    fn prelude(self, params: ParamsSource) -> String {
        let rounds = match self {
            Self::PhiloxBlocks { rounds } => rounds,
            // [M2]
            _ => 10,
        };
        let mut prelude = format!(
            "const WORKGROUP_SIZE: u32 = {WORKGROUP_SIZE}u;\nconst PHILOX_ROUNDS: u32 = {rounds}u;\n"
        );
        let mut tail = "u32";
        if let Some(MaskSource::Strided(Strided {
            dimensions,
            whole_words,
            ..
        })) = self.mask()
        {
            if params == ParamsSource::Bound {
                tail = "array<Dimension, 8>";
            }
            prelude += &format!(
                "const DIMENSIONS: u32 = {dimensions}u;\nconst WHOLE_WORDS: bool = {whole_words};\n"
            );
        }
        if !matches!(self, Self::PhiloxBlocks { .. }) {
            prelude += &format!("alias Tail = {tail};\n");
        }
        let (element, access) = match self {
            Self::Dropout {
                element, access, ..
            } => (element, access),
            Self::Gaussian { .. } => (ElementType::F32, Access::Words),
            Self::KeepMask(_) | Self::PhiloxBlocks { .. } => return prelude,
        };
        let pairs = element.bytes() == 2;
        let (lanes, lane_bits) = match (access, pairs) {
            (Access::Blocks | Access::Vectors, false) => (4, "Word(1u, 2u, 4u, 8u)"),
            (Access::Blocks | Access::Vectors, true) => (8, "Word(1u, 4u, 16u, 64u)"),
            (Access::Words, false) => (1, "Word(1u)"),
            (Access::Words, true) => (2, "Word(1u)"),
        };
        prelude += match access {
            Access::Blocks | Access::Vectors => {
                "alias Word = vec4<u32>;\nalias Float = vec4<f32>;\nalias Keep = vec4<bool>;\n"
            }
            Access::Words => "alias Word = u32;\nalias Float = f32;\nalias Keep = bool;\n",
        };
        // Elements in a `Word`; the bits of those in the lower halves of a word that has two.
        prelude += &format!("const LANES: u32 = {lanes}u;\nconst LANE_BITS = {lane_bits};\n");
        // Runs are dropped as a whole, often a whole word and its neighbours.
        let skip_dropped = matches!(
            self.mask(),
            Some(MaskSource::Strided(Strided {
                family: Family::Runs,
                ..
            }))
        );
        prelude += &format!("const SKIP_DROPPED: bool = {skip_dropped};\n");
        // At a rate of 1 only a mask from outside keeps anything.
        let factor_may_be_0 = self.mask() == Some(MaskSource::Packed);
        prelude + &format!("const FACTOR_MAY_BE_0: bool = {factor_may_be_0};\n")
    }
}

/// The whole WGSL module of `kernel`.
pub(crate) fn assemble(kernel: Kernel, multiply: Multiply, params: ParamsSource) -> String {
    let prelude = kernel.prelude(params);
    let mut parts = vec![
        prelude.as_str(),
        match params {
            ParamsSource::Immediates => shader!("params_immediate"),
            ParamsSource::Uniform => shader!("params_uniform"),
            ParamsSource::Bound => shader!("params_bound"),
        },
        match kernel {
            Kernel::PhiloxBlocks { .. } => shader!("params_blocks"),
            _ => shader!("params_mask"),
        },
    ];
    if let Kernel::Dropout { buffers, .. } | Kernel::Gaussian { buffers } = kernel {
        parts.push(match buffers {
            BufferLayout::Separate => shader!("io_separate"),
            BufferLayout::Pooled => shader!("io_pooled"),
            BufferLayout::InPlace => shader!("io_in_place"),
        });
    }
    if kernel.draws() {
        parts.push(match multiply {
            Multiply::U64 => shader!("philox_u64"),
            Multiply::Halves => shader!("philox_halves"),
        });
        parts.push(shader!("philox"));
    }
    if kernel.draws() && !matches!(kernel, Kernel::PhiloxBlocks { .. }) {
        parts.push(shader!("mask"));
    }
    match kernel.mask() {
        None => {}
        Some(MaskSource::Linear) => parts.push(shader!("map_linear")),
        Some(MaskSource::Packed) => parts.push(shader!("map_packed")),
        Some(MaskSource::Strided(strided)) => parts.extend([
            shader!("strided"),
            match params {
                ParamsSource::Immediates | ParamsSource::Uniform => shader!("dimensions_uniform"),
                ParamsSource::Bound => shader!("dimensions_bound"),
            },
            if strided.sample_ids {
                shader!("sample_ids")
            } else {
                shader!("sample_position")
            },
            match strided.family {
                Family::Rows => shader!("map_rows"),
                Family::Runs => shader!("map_runs"),
                Family::Scattered => shader!("map_scattered"),
            },
        ]),
    }
    if let Kernel::Dropout { element, value, .. } = kernel {
        parts.extend(match element {
            ElementType::F32 => vec![shader!("element_f32")],
            ElementType::F16 => vec![shader!("element_f16"), shader!("element_pairs")],
            ElementType::Bf16 => vec![shader!("element_bf16"), shader!("element_pairs")],
        });
        parts.push(match value {
            ValueMap::Scale => shader!("value_scale"),
            ValueMap::Keep | ValueMap::Copy => shader!("value_keep"),
            ValueMap::Affine => shader!("value_affine"),
        });
        if value == ValueMap::Copy {
            parts.push(shader!("map_all"));
        }
    }
    parts.push(kernel.entry().1);
    parts.join("\n")
}
