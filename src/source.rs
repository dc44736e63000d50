//! The WGSL of each kernel, put together: the only file that knows the shader files' names.
//!
//! A module is a prelude of `const` and `alias`, then files joined as they are. WGSL does not care
//! about the order of declarations.

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

/// A strided layout's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strided {
    pub family: Family,
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
    /// Neither.
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
    /// Eight elements, four at a time.
    Blocks,
    /// Up to eight elements, one at a time.
    Elements,
    /// Elements of one run, four at a time.
    Runs {
        /// How many times four.
        vectors: u32,
    },
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Dropout {
        buffers: BufferLayout,
        mask: MaskSource,
        value: ValueMap,
        access: Access,
    },
    Gaussian {
        buffers: BufferLayout,
    },
    KeepMask(Option<Strided>),
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
            Self::Dropout { access, .. } => match access {
                Access::Blocks => entry!("dropout_blocks"),
                Access::Elements => entry!("dropout_elements"),
                Access::Runs { .. } => entry!("dropout_runs"),
            },
            Self::Gaussian { .. } => entry!("gaussian"),
            Self::KeepMask(None) => entry!("keep_mask"),
            Self::KeepMask(Some(_)) => entry!("keep_mask_strided"),
            Self::PhiloxBlocks { .. } => entry!("philox_blocks"),
        }
    }

    /// The entry point's name.
    pub fn entry_point(self) -> &'static str {
        self.entry().0
    }

    /// Whether random numbers are drawn.
    fn draws(self) -> bool {
        match self {
            Self::Dropout { mask, value, .. } => {
                mask != MaskSource::Packed && value != ValueMap::Copy
            }
            _ => true,
        }
    }

    /// The strided layout that numbers are drawn for.
    fn strided(self) -> Option<Strided> {
        match self {
            Self::Dropout {
                mask: MaskSource::Strided(strided),
                ..
            } if self.draws() => Some(strided),
            Self::KeepMask(strided) => strided,
            _ => None,
        }
    }

    /// How the buffers of a tensor are loaded and stored.
    fn access(self) -> Option<(BufferLayout, Access)> {
        match self {
            Self::Dropout {
                buffers, access, ..
            } => Some((buffers, access)),
            Self::Gaussian { buffers } => Some((buffers, Access::Elements)),
            Self::KeepMask(_) | Self::PhiloxBlocks { .. } => None,
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
        if let Some(Strided { dimensions, .. }) = self.strided() {
            prelude += &format!("const DIMENSIONS: u32 = {dimensions}u;\n");
        }
        let (word, float, keep) = match self.access() {
            None => return prelude,
            Some((_, Access::Elements)) => ("u32", "f32", "bool"),
            Some((_, Access::Blocks)) => ("vec4<u32>", "vec4<f32>", "vec4<bool>"),
            Some((_, Access::Runs { vectors })) => {
                prelude += &format!("const RUN_VECTORS: u32 = {vectors}u;\n");
                ("vec4<u32>", "vec4<f32>", "vec4<bool>")
            }
        };
        prelude + &format!("alias Word = {word};\nalias Float = {float};\nalias Keep = {keep};\n")
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
    if let Some((buffers, _)) = kernel.access() {
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
    if !matches!(kernel, Kernel::PhiloxBlocks { .. }) {
        parts.push(shader!("work"));
        if kernel.draws() {
            parts.push(shader!("mask"));
        }
    }
    if let Some(Strided { sample_ids, .. }) = kernel.strided() {
        parts.push(shader!("strided"));
        parts.push(if sample_ids {
            shader!("sample_ids")
        } else {
            shader!("sample_position")
        });
    }
    if let Kernel::Dropout { mask, value, .. } = kernel {
        parts.push(match (value, mask) {
            (ValueMap::Copy, _) => shader!("map_all"),
            (_, MaskSource::Linear) => shader!("map_linear"),
            (_, MaskSource::Packed) => shader!("map_packed"),
            (_, MaskSource::Strided(strided)) => match strided.family {
                Family::Rows => shader!("map_rows"),
                Family::Runs => shader!("map_runs"),
                Family::Scattered => shader!("map_scattered"),
            },
        });
        parts.push(match value {
            ValueMap::Scale => shader!("value_scale"),
            ValueMap::Keep | ValueMap::Copy => shader!("value_keep"),
            ValueMap::Affine => shader!("value_affine"),
        });
    }
    parts.push(kernel.entry().1);
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;

    fn kernels() -> Vec<Kernel> {
        let mut kernels = vec![
            Kernel::KeepMask(None),
            Kernel::PhiloxBlocks { rounds: 7 },
            Kernel::PhiloxBlocks { rounds: 10 },
        ];
        let mut masks = vec![MaskSource::Linear, MaskSource::Packed];
        for family in [Family::Rows, Family::Runs, Family::Scattered] {
            for sample_ids in [false, true] {
                for dimensions in [1, 8] {
                    let strided = Strided {
                        family,
                        dimensions,
                        sample_ids,
                    };
                    masks.push(MaskSource::Strided(strided));
                    kernels.push(Kernel::KeepMask(Some(strided)));
                }
            }
        }
        for buffers in [
            BufferLayout::Separate,
            BufferLayout::Pooled,
            BufferLayout::InPlace,
        ] {
            kernels.push(Kernel::Gaussian { buffers });
            for mask in &masks {
                let mut accesses = vec![Access::Blocks, Access::Elements];
                if let MaskSource::Strided(Strided {
                    family: Family::Runs,
                    ..
                }) = mask
                {
                    accesses.push(Access::Runs { vectors: 8 });
                }
                for value in [
                    ValueMap::Scale,
                    ValueMap::Keep,
                    ValueMap::Affine,
                    ValueMap::Copy,
                ] {
                    // A copy has no runs.
                    let accesses = if value == ValueMap::Copy {
                        &accesses[..2]
                    } else {
                        &accesses
                    };
                    for &access in accesses {
                        kernels.push(Kernel::Dropout {
                            buffers,
                            mask: *mask,
                            value,
                            access,
                        });
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
    fn a_capability_that_is_missing_is_seen() {
        assert!(
            validate(
                &assemble(Kernel::KeepMask(None), Multiply::U64, false),
                Capabilities::empty()
            )
            .is_err()
        );
        assert!(
            validate(
                &assemble(Kernel::KeepMask(None), Multiply::Halves, true),
                Capabilities::empty()
            )
            .is_err()
        );
    }
}
