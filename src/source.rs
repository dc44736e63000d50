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

impl Kernel {
    /// The entry point, which has its file's name.
    pub fn entry_point(self) -> &'static str {
        match self {
            Self::Dropout {
                value: ValueMap::Copy,
                access: Access::Elements,
                ..
            } => "copy_elements",
            Self::Dropout {
                value: ValueMap::Copy,
                ..
            } => "copy_blocks",
            Self::Dropout {
                access: Access::Blocks,
                ..
            } => "dropout_blocks",
            Self::Dropout {
                access: Access::Elements,
                ..
            } => "dropout_elements",
            Self::Dropout {
                access: Access::Runs { .. },
                ..
            } => "dropout_runs",
            Self::Gaussian { .. } => "gaussian",
            Self::KeepMask(None) => "keep_mask",
            Self::KeepMask(Some(_)) => "keep_mask_strided",
            Self::PhiloxBlocks { .. } => "philox_blocks",
        }
    }
}

/// The whole WGSL module of `kernel`.
pub(crate) fn assemble(kernel: Kernel, multiply: Multiply, immediates: bool) -> String {
    macro_rules! shader {
        ($name:literal) => {
            include_str!(concat!("../shaders/", $name, ".wgsl"))
        };
    }
    let mut prelude = format!("const WORKGROUP_SIZE: u32 = {WORKGROUP_SIZE}u;\n");
    let rounds = match kernel {
        Kernel::PhiloxBlocks { rounds } => rounds,
        // [M2]
        _ => 10,
    };
    prelude += &format!("const PHILOX_ROUNDS: u32 = {rounds}u;\n");
    let access = match kernel {
        Kernel::Dropout { access, .. } => Some(access),
        Kernel::Gaussian { .. } => Some(Access::Elements),
        Kernel::KeepMask(_) | Kernel::PhiloxBlocks { .. } => None,
    };
    match access {
        Some(Access::Elements) => {
            prelude += "alias Word = u32;\nalias Float = f32;\nalias Keep = bool;\n";
        }
        Some(Access::Blocks | Access::Runs { .. }) => {
            prelude +=
                "alias Word = vec4<u32>;\nalias Float = vec4<f32>;\nalias Keep = vec4<bool>;\n";
        }
        None => {}
    }
    if let Some(Access::Runs { vectors }) = access {
        prelude += &format!("const RUN_VECTORS: u32 = {vectors}u;\n");
    }
    let strided = match kernel {
        Kernel::Dropout {
            value: ValueMap::Copy,
            ..
        } => None,
        Kernel::Dropout {
            mask: MaskSource::Strided(strided),
            ..
        } => Some(strided),
        Kernel::KeepMask(strided) => strided,
        _ => None,
    };
    if let Some(Strided { dimensions, .. }) = strided {
        prelude += &format!("const DIMENSIONS: u32 = {dimensions}u;\n");
    }

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
    let philox = [
        match multiply {
            Multiply::U64 => shader!("philox_u64"),
            Multiply::Halves => shader!("philox_halves"),
        },
        shader!("philox"),
    ];
    if let Some(Strided { sample_ids, .. }) = strided {
        parts.push(shader!("strided"));
        parts.push(if sample_ids {
            shader!("sample_ids")
        } else {
            shader!("sample_position")
        });
    }
    match kernel {
        Kernel::Dropout {
            value: ValueMap::Copy,
            access,
            ..
        } => parts.push(match access {
            Access::Elements => shader!("copy_elements"),
            Access::Blocks | Access::Runs { .. } => shader!("copy_blocks"),
        }),
        Kernel::Dropout {
            mask,
            value,
            access,
            ..
        } => {
            parts.push(shader!("work"));
            if mask != MaskSource::Packed {
                parts.extend(philox);
                parts.push(shader!("mask"));
            }
            parts.push(match mask {
                MaskSource::Linear => shader!("map_linear"),
                MaskSource::Strided(Strided {
                    family: Family::Rows,
                    ..
                }) => shader!("map_rows"),
                MaskSource::Strided(Strided {
                    family: Family::Runs,
                    ..
                }) => shader!("map_runs"),
                MaskSource::Strided(Strided {
                    family: Family::Scattered,
                    ..
                }) => {
                    shader!("map_scattered")
                }
                MaskSource::Packed => shader!("map_packed"),
            });
            parts.push(match value {
                ValueMap::Scale => shader!("value_scale"),
                ValueMap::Keep => shader!("value_keep"),
                ValueMap::Affine => shader!("value_affine"),
                ValueMap::Copy => "",
            });
            parts.push(match access {
                Access::Blocks => shader!("dropout_blocks"),
                Access::Elements => shader!("dropout_elements"),
                Access::Runs { .. } => shader!("dropout_runs"),
            });
        }
        Kernel::Gaussian { .. } => {
            parts.push(shader!("work"));
            parts.extend(philox);
            parts.extend([shader!("mask"), shader!("gaussian")]);
        }
        Kernel::KeepMask(strided) => {
            parts.push(shader!("work"));
            parts.extend(philox);
            parts.push(shader!("mask"));
            parts.push(match strided {
                None => shader!("keep_mask"),
                Some(_) => shader!("keep_mask_strided"),
            });
        }
        Kernel::PhiloxBlocks { .. } => {
            parts.extend(philox);
            parts.push(shader!("philox_blocks"));
        }
    }
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
                    for &access in &accesses {
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
