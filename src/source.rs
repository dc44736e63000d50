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
