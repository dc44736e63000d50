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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BufferLayout {
    /// Two buffers.
    Separate,
    /// Two ranges of one buffer.
    Pooled,
    /// One range.
    InPlace,
}

/// What a kernel does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueMap {
    /// Dropped or scaled.
    Scale,
    /// Copied, without a mask.
    Copy,
}

/// Elements in one load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Four, aligned.
    Blocks,
    /// One.
    Elements,
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Dropout(BufferLayout, ValueMap, Access),
    KeepMask,
    PhiloxBlocks { rounds: u32 },
}

impl Kernel {
    /// The entry point, which has its file's name.
    pub fn entry_point(self) -> &'static str {
        match self {
            Self::Dropout(_, ValueMap::Scale, Access::Blocks) => "dropout_blocks",
            Self::Dropout(_, ValueMap::Scale, Access::Elements) => "dropout_elements",
            Self::Dropout(_, ValueMap::Copy, Access::Blocks) => "copy_blocks",
            Self::Dropout(_, ValueMap::Copy, Access::Elements) => "copy_elements",
            Self::KeepMask => "keep_mask",
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
    let mul_wide = match multiply {
        Multiply::U64 => shader!("philox_u64"),
        Multiply::Halves => shader!("philox_halves"),
    };
    let rounds = match kernel {
        Kernel::PhiloxBlocks { rounds } => rounds,
        // [M2]
        _ => 10,
    };
    let prelude = format!(
        "const WORKGROUP_SIZE: u32 = {WORKGROUP_SIZE}u;\nconst PHILOX_ROUNDS: u32 = {rounds}u;\n"
    );
    let mut parts = vec![
        prelude.as_str(),
        if immediates {
            shader!("params_immediate")
        } else {
            shader!("params_uniform")
        },
    ];
    match kernel {
        Kernel::Dropout(layout, value, access) => {
            parts.push(match access {
                Access::Blocks => "alias Word = vec4<u32>;\nalias Float = vec4<f32>;\n",
                Access::Elements => "alias Word = u32;\nalias Float = f32;\n",
            });
            parts.push(shader!("params_mask"));
            parts.push(match layout {
                BufferLayout::Separate => shader!("io_separate"),
                BufferLayout::Pooled => shader!("io_pooled"),
                BufferLayout::InPlace => shader!("io_in_place"),
            });
            if value == ValueMap::Scale {
                parts.extend([
                    mul_wide,
                    shader!("philox"),
                    shader!("mask"),
                    shader!("value_scale"),
                ]);
            }
            parts.push(match (value, access) {
                (ValueMap::Scale, Access::Blocks) => shader!("dropout_blocks"),
                (ValueMap::Scale, Access::Elements) => shader!("dropout_elements"),
                (ValueMap::Copy, Access::Blocks) => shader!("copy_blocks"),
                (ValueMap::Copy, Access::Elements) => shader!("copy_elements"),
            });
        }
        Kernel::KeepMask => {
            let mask = [
                shader!("params_mask"),
                mul_wide,
                shader!("philox"),
                shader!("mask"),
            ];
            parts.extend(mask);
            parts.push(shader!("keep_mask"));
        }
        Kernel::PhiloxBlocks { .. } => {
            parts.extend([shader!("params_blocks"), mul_wide, shader!("philox")]);
            parts.push(shader!("philox_blocks"));
        }
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;

    fn kernels() -> impl Iterator<Item = Kernel> {
        let mut kernels = vec![
            Kernel::KeepMask,
            Kernel::PhiloxBlocks { rounds: 7 },
            Kernel::PhiloxBlocks { rounds: 10 },
        ];
        for layout in [
            BufferLayout::Separate,
            BufferLayout::Pooled,
            BufferLayout::InPlace,
        ] {
            for value in [ValueMap::Scale, ValueMap::Copy] {
                for access in [Access::Blocks, Access::Elements] {
                    kernels.push(Kernel::Dropout(layout, value, access));
                }
            }
        }
        kernels.into_iter()
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
                &assemble(Kernel::KeepMask, Multiply::U64, false),
                Capabilities::empty()
            )
            .is_err()
        );
        assert!(
            validate(
                &assemble(Kernel::KeepMask, Multiply::Halves, true),
                Capabilities::empty()
            )
            .is_err()
        );
    }
}
