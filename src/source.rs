//! The WGSL of each kernel, put together: the only file that knows the shader files' names.
//!
//! A module is a prelude of `const` and `alias`, then files joined as they are. WGSL does not care
//! about the order of declarations.

use crate::element::ElementType;

/// Invocations in a workgroup.
pub(crate) const WORKGROUP_SIZE: u32 = 256;

/// The 64-bit product in Philox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiply {
    /// By the type `u64`: needs [`wgpu::Features::SHADER_INT64`].
    U64,
    /// By 16-bit halves.
    Halves,
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
        include_str!(concat!("../shaders/", $name, ".wgsl"))
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

    /// Where decisions come from; a copy makes none.
    fn mask(self) -> Option<MaskSource> {
        match self {
            Self::Dropout { mask, value, .. } if value != ValueMap::Copy => Some(mask),
            Self::KeepMask(mask) => Some(mask),
            _ => None,
        }
    }

    /// Whether random numbers are drawn.
    fn draws(self) -> bool {
        match self {
            Self::Dropout { .. } | Self::KeepMask(_) => {
                !matches!(self.mask(), None | Some(MaskSource::Packed))
            }
            Self::Gaussian { .. } | Self::PhiloxBlocks { .. } => true,
        }
    }

    /// The names that the files leave open.
    fn prelude(self) -> String {
        let rounds = match self {
            Self::PhiloxBlocks { rounds } => rounds,
            // [M2]
            _ => 10,
        };
        let mut prelude = format!(
            "const WORKGROUP_SIZE: u32 = {WORKGROUP_SIZE}u;\nconst PHILOX_ROUNDS: u32 = {rounds}u;\n"
        );
        if let Some(MaskSource::Strided(Strided {
            dimensions,
            whole_words,
            ..
        })) = self.mask()
        {
            prelude += &format!(
                "const DIMENSIONS: u32 = {dimensions}u;\nconst WHOLE_WORDS: bool = {whole_words};\n"
            );
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
        prelude + &format!("const SKIP_DROPPED: bool = {skip_dropped};\n")
    }
}

/// The whole WGSL module of `kernel`.
pub(crate) fn assemble(kernel: Kernel, multiply: Multiply, immediates: bool) -> String {
    let prelude = kernel.prelude();
    let mut parts = vec![
        prelude.as_str(),
        if immediates {
            shader!("params_immediate")
        } else {
            shader!("params_uniform")
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;

    /// Every kind of kernel; of the numbers of dimensions the least and the most.
    fn kernels() -> Vec<Kernel> {
        let mut drawn = vec![MaskSource::Linear];
        for family in [Family::Rows, Family::Runs, Family::Scattered] {
            for sample_ids in [false, true] {
                for (dimensions, whole_words) in [(1, false), (8, true)] {
                    drawn.push(MaskSource::Strided(Strided {
                        family,
                        whole_words,
                        dimensions,
                        sample_ids,
                    }));
                }
            }
        }
        let mut kernels = vec![
            Kernel::PhiloxBlocks { rounds: 7 },
            Kernel::PhiloxBlocks { rounds: 10 },
        ];
        kernels.extend(drawn.iter().copied().map(Kernel::KeepMask));
        let buffers = [
            BufferLayout::Separate,
            BufferLayout::Pooled,
            BufferLayout::InPlace,
        ];
        kernels.extend(buffers.map(|buffers| Kernel::Gaussian { buffers }));
        let elements = [ElementType::F32, ElementType::F16, ElementType::Bf16];
        for (buffers, element) in buffers.into_iter().flat_map(|b| elements.map(|e| (b, e))) {
            for mask in drawn.iter().copied().chain([MaskSource::Packed]) {
                for value in [
                    ValueMap::Scale,
                    ValueMap::Keep,
                    ValueMap::Affine,
                    ValueMap::Copy,
                ] {
                    for access in [Access::Blocks, Access::Vectors, Access::Words] {
                        // Only these have blocks.
                        let blocks = value != ValueMap::Copy
                            && match mask {
                                MaskSource::Linear => true,
                                MaskSource::Strided(strided) => strided.family == Family::Rows,
                                MaskSource::Packed => false,
                            };
                        if access != Access::Blocks || blocks {
                            kernels.push(Kernel::Dropout {
                                element,
                                buffers,
                                mask,
                                value,
                                access,
                            });
                        }
                    }
                }
            }
        }
        kernels
    }

    fn validate(source: &str, capabilities: Capabilities) -> Result<naga::Module, String> {
        let module = naga::front::wgsl::parse_str(source).map_err(|error| error.to_string())?;
        Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|error| error.emit_to_string(source))?;
        Ok(module)
    }

    #[test]
    fn every_kernel_is_valid_and_asks_for_no_more_than_its_variant_says() {
        for kernel in kernels() {
            for (multiply, int64) in [
                (Multiply::U64, Capabilities::SHADER_INT64),
                (Multiply::Halves, Capabilities::empty()),
            ] {
                for (immediates, immediate) in [
                    (true, Capabilities::IMMEDIATES),
                    (false, Capabilities::empty()),
                ] {
                    let source = assemble(kernel, multiply, immediates);
                    let module = validate(&source, int64 | immediate).unwrap();
                    let [entry] = &module.entry_points[..] else {
                        panic!("one entry point")
                    };
                    assert_eq!(entry.name, kernel.entry_point());
                    assert_eq!(entry.workgroup_size, [WORKGROUP_SIZE, 1, 1]);
                }
            }
        }
    }

    #[test]
    fn copies_of_layouts_with_the_same_bindings_are_one_kernel() {
        let mut masks = HashSet::new();
        for kernel in kernels() {
            if let Kernel::Dropout {
                element,
                buffers,
                mask,
                value: ValueMap::Copy,
                access,
            } = kernel
            {
                let shared = Kernel::Dropout {
                    element,
                    buffers,
                    mask: mask.of_copy(),
                    value: ValueMap::Copy,
                    access,
                };
                let text = |kernel| assemble(kernel, Multiply::Halves, false);
                assert_eq!(text(kernel), text(shared));
                masks.insert(mask.of_copy());
            }
        }
        // Consecutive indices, a layout, a layout with ids, a packed mask.
        assert_eq!(masks.len(), 4);
    }

    #[test]
    fn a_capability_that_is_missing_is_seen() {
        assert!(
            validate(
                &assemble(Kernel::KeepMask(MaskSource::Linear), Multiply::U64, false),
                Capabilities::empty()
            )
            .is_err()
        );
        assert!(
            validate(
                &assemble(Kernel::KeepMask(MaskSource::Linear), Multiply::Halves, true),
                Capabilities::empty()
            )
            .is_err()
        );
    }
}
