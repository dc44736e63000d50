//! The WGSL of each kernel, put together: the only file that knows the shader files' names.
//!
//! A module is a prelude of constants, aliases and bindings, then files joined as they are. WGSL does
//! not care about the order of declarations.

use super::axes::{
    Access, Buffer, BufferAccess, BufferLayout, Family, IndexKind, Kernel, Multiply, Neighbours,
    ParamsSource, Role, Strided, TILE_ROWS, TOTALS_PER_WORKGROUP, Terms, WORKGROUP_SIZE, Way,
};
use crate::contract::effect::Effect;
use crate::contract::element::ElementType;

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name, ".wgsl"))
    };
}

/// The whole WGSL module of `kernel`.
pub(crate) fn assemble(kernel: Kernel, way: Way) -> String {
    let mut parts = vec![prelude(kernel, way)];
    parts.extend(files(kernel, way).into_iter().map(str::to_owned));
    parts.join("\n")
}

/// The mask contract as functions of their arguments alone, for kernels of others.
pub(crate) fn functions(multiply: Multiply) -> String {
    let rounds = format!("const DROPOUT_PHILOX_ROUNDS: u32 = {MASK_PHILOX_ROUNDS}u;\n");
    let mut parts = vec![rounds.as_str(), shader!("mask/mask")];
    parts.extend(generator(multiply));
    parts.extend(mask_files());
    parts.extend([shader!("mask/normal"), shader!("mask/value")]);
    parts.join("\n")
}

/// Rounds of Philox in a mask [M2].
const MASK_PHILOX_ROUNDS: u32 = 10;

/// Which mask indices there are and which are kept.
fn mask_files() -> [&'static str; 2] {
    [shader!("mask/index"), shader!("mask/keep")]
}

/// Random numbers.
fn generator(multiply: Multiply) -> [&'static str; 2] {
    let product = match multiply {
        Multiply::U64 => shader!("mask/product_u64"),
        Multiply::Halves => shader!("mask/product_halves"),
    };
    [product, shader!("mask/philox")]
}

/// The names that the files leave open.
fn prelude(kernel: Kernel, way: Way) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut constant = |name: &str, value: &dyn core::fmt::Display| {
        lines.push(format!("const {name} = {value};"));
    };
    constant("WORKGROUP_SIZE", &format_args!("{WORKGROUP_SIZE}u"));
    if kernel.draws() {
        let rounds = match kernel {
            Kernel::PhiloxBlocks { rounds } => rounds,
            _ => MASK_PHILOX_ROUNDS,
        };
        constant("DROPOUT_PHILOX_ROUNDS", &format_args!("{rounds}u"));
    }
    if let Some(IndexKind::Strided(Strided {
        family, dimensions, ..
    })) = kernel.mask()
    {
        constant("DIMENSIONS", &format_args!("{dimensions}u"));
        if let Family::Rows { whole_words } | Family::Runs { whole_words } = family {
            constant("WHOLE_WORDS", &whole_words);
        }
    }
    if let Kernel::Dropout {
        element,
        neighbours,
        access,
        ..
    } = kernel
    {
        let pairs = element.bytes() == 2;
        let (lanes, lane_bits) = match (access, pairs) {
            (Access::Blocks | Access::Vectors, false) => (4, "Word(1u, 2u, 4u, 8u)"),
            (Access::Blocks | Access::Vectors, true) => (8, "Word(1u, 4u, 16u, 64u)"),
            (Access::Words, false) => (1, "Word(1u)"),
            (Access::Words, true) => (2, "Word(1u)"),
        };
        // Elements in a `Word`; the bits of those in the lower halves of a word that has two.
        constant("LANES", &format_args!("{lanes}u"));
        constant("LANE_BITS", &lane_bits);
        // Runs are dropped as a whole, often a whole word and its neighbours.
        let skip_dropped = matches!(
            kernel.mask(),
            Some(IndexKind::Strided(Strided {
                family: Family::Runs { .. },
                ..
            }))
        );
        constant("SKIP_DROPPED", &skip_dropped);
        // At a rate of 1 only a mask from outside keeps anything.
        let factor_may_be_0 = kernel.mask() == Some(IndexKind::Packed);
        constant("FACTOR_MAY_BE_0", &factor_may_be_0);
        if matches!(neighbours, Neighbours::Add { .. }) {
            let element_bits = if pairs { "0xffffu" } else { "0xffffffffu" };
            constant("ELEMENT_BITS", &element_bits);
        }
        lines.extend(
            match access {
                Access::Blocks | Access::Vectors => [
                    "alias Word = vec4<u32>;",
                    "alias Float = vec4<f32>;",
                    "alias Keep = vec4<bool>;",
                ],
                Access::Words => [
                    "alias Word = u32;",
                    "alias Float = f32;",
                    "alias Keep = bool;",
                ],
            }
            .map(str::to_owned),
        );
    }
    if let Kernel::ColumnTiles { element, .. } = kernel {
        let (lanes, element_bits) = match element.bytes() {
            2 => (2, "0xffffu"),
            _ => (1, "0xffffffffu"),
        };
        lines.extend([
            format!("const TILE_ROWS = {TILE_ROWS}u;"),
            format!("const LANES = {lanes}u;"),
            format!("const ELEMENT_BITS = {element_bits};"),
            "const FACTOR_MAY_BE_0 = false;".to_owned(),
            "alias Word = u32;".to_owned(),
            "alias Float = f32;".to_owned(),
        ]);
    }
    if kernel == Kernel::ColumnTotals {
        lines.push(format!("const COLUMNS = {TOTALS_PER_WORKGROUP}u;"));
    }
    if way.params == ParamsSource::Immediates {
        lines.push("var<immediate> params: Params;".to_owned());
    }
    lines.extend(
        kernel
            .buffers(way.params)
            .into_iter()
            // A copy is bound as the tensor is, and reads no mask.
            .filter(|buffer| kernel.mask().is_some() || !buffer.role.is_of_mask())
            .map(declaration),
    );
    lines.push(String::new());
    lines.join("\n")
}

impl Role {
    /// Whether only decisions need it.
    fn is_of_mask(self) -> bool {
        matches!(self, Self::Dimensions | Self::SampleIds | Self::Mask)
    }
}

fn declaration(buffer: Buffer) -> String {
    let Buffer {
        role,
        group,
        binding,
        access,
    } = buffer;
    let space = match access {
        BufferAccess::Uniform => "uniform",
        BufferAccess::Read => "storage, read",
        BufferAccess::ReadWrite => "storage, read_write",
    };
    let ty = match role {
        Role::Input | Role::Output | Role::Data | Role::Residual | Role::Gradient => "array<Word>",
        Role::Scratch | Role::Sums => "array<f32>",
        Role::Vectors => "array<Float>",
        Role::Mask | Role::SampleIds => "array<u32>",
        Role::Dimensions => "array<Dimension, 8>",
        Role::Blocks => "array<vec4<u32>>",
        Role::Params => "Params",
    };
    let name = role.name();
    format!("@group({group}) @binding({binding}) var<{space}> {name}: {ty};")
}

fn files(kernel: Kernel, way: Way) -> Vec<&'static str> {
    let mut files = Vec::new();
    if kernel.draws() {
        files.extend(generator(way.multiply));
    }
    let (element, buffers, mask, neighbours, effect, access) = match kernel {
        Kernel::PhiloxBlocks { .. } => {
            files.extend([shader!("params/blocks"), shader!("entry/philox_blocks")]);
            return files;
        }
        Kernel::ColumnTotals => {
            files.extend([shader!("mask/mask"), shader!("params/columns")]);
            files.push(shader!("entry/column_totals"));
            return files;
        }
        Kernel::ColumnTiles { element, terms } => {
            files.extend([
                shader!("mask/mask"),
                shader!("params/columns"),
                element_file(element),
                shader!("entry/column_tiles"),
            ]);
            let Terms::Scale { mask, bias, .. } = terms else {
                files.push(shader!("columns/stored"));
                return files;
            };
            if kernel.draws() {
                files.extend(mask_files());
                files.extend(index(mask, way));
            }
            files.extend(match kernel.mask() {
                Some(mask) => decisions(mask),
                None => vec![shader!("decide/all")],
            });
            files.extend([
                shader!("columns/of_scale"),
                match bias {
                    true => shader!("columns/bias"),
                    false => shader!("columns/no_bias"),
                },
            ]);
            return files;
        }
        Kernel::KeepMask(mask) => {
            files.extend([shader!("mask/mask"), params(kernel, way)]);
            files.extend(mask_files());
            files.extend(index(mask, way));
            files.extend(decisions(mask));
            files.push(shader!("entry/keep_mask"));
            return files;
        }
        Kernel::Dropout {
            element,
            buffers,
            mask,
            neighbours,
            effect,
            access,
        } => (element, buffers, mask, neighbours, effect, access),
    };
    files.extend([shader!("mask/mask"), params(kernel, way)]);
    match effect {
        Effect::Copy => files.push(shader!("decide/all")),
        Effect::Noise => {
            files.extend(mask_files());
            files.extend(index(mask, way));
            files.extend([
                shader!("decide/all"),
                shader!("mask/normal"),
                match (access, mask) {
                    (Access::Blocks, _) => shader!("noise/blocks"),
                    (Access::Vectors, IndexKind::Linear) => shader!("noise/linear"),
                    (Access::Vectors, _) => shader!("noise/vectors"),
                    (Access::Words, _) => shader!("noise/words"),
                },
            ]);
        }
        Effect::Scale | Effect::Keep | Effect::Affine => {
            if kernel.draws() {
                files.extend(mask_files());
                files.extend(index(mask, way));
            }
            if access == Access::Blocks {
                files.push(shader!("decide/blocks"));
            } else {
                files.extend(decisions(mask));
            }
        }
    }
    files.extend([
        element_file(element),
        match element.bytes() {
            2 => shader!("element/pairs"),
            _ => shader!("element/words"),
        },
    ]);
    files.extend(match (neighbours, effect) {
        (Neighbours::Add { .. }, _) => vec![
            shader!("value/add"),
            match buffers {
                BufferLayout::InPlace => shader!("io/residual_in_output"),
                BufferLayout::Separate | BufferLayout::Pooled => shader!("io/residual"),
            },
        ],
        (Neighbours::Scale, _) => vec![shader!("value/scale_after")],
        (Neighbours::None, Effect::Scale) => vec![shader!("value/scale")],
        (Neighbours::None, Effect::Keep | Effect::Copy) => vec![shader!("value/keep")],
        (Neighbours::None, Effect::Affine) => vec![
            shader!("value/affine"),
            shader!("value/alone"),
            shader!("value/chain"),
        ],
        (Neighbours::None, Effect::Noise) => vec![
            shader!("value/noise"),
            shader!("value/alone"),
            shader!("value/chain"),
        ],
    });
    files.push(match (buffers, neighbours) {
        (BufferLayout::InPlace, Neighbours::None | Neighbours::Scale) => shader!("io/in_place"),
        _ => shader!("io/two"),
    });
    files.extend(match (access, effect, mask) {
        (Access::Blocks, ..) => vec![shader!("entry/dropout_blocks")],
        (Access::Words, Effect::Noise, _) | (_, Effect::Noise, IndexKind::Strided(_)) => {
            vec![shader!("io/word"), shader!("entry/dropout_words_in_turn")]
        }
        _ => {
            let begin = if kernel.has_vectors() {
                vec![]
            } else {
                vec![shader!("vectors/begin")]
            };
            [
                begin,
                vec![shader!("io/word"), shader!("entry/dropout_words")],
            ]
            .concat()
        }
    });
    if neighbours != Neighbours::None {
        files.extend(vectors(kernel, element, access));
    }
    files
}

/// An element's bits.
fn element_file(element: ElementType) -> &'static str {
    match element {
        ElementType::F32 => shader!("element/f32"),
        ElementType::F16 => shader!("element/f16"),
        ElementType::Bf16 => shader!("element/bf16"),
    }
}

/// A bias and a scale.
fn vectors(kernel: Kernel, element: ElementType, access: Access) -> Vec<&'static str> {
    if !kernel.has_vectors() {
        return vec![shader!("vectors/none")];
    }
    let load = match (element.bytes(), access) {
        (2, Access::Blocks | Access::Vectors) => shader!("vectors/of_pairs"),
        (2, Access::Words) => shader!("vectors/of_pair"),
        _ => shader!("vectors/of_words"),
    };
    vec![shader!("vectors/some"), load]
}

/// What a dispatch is told.
fn params(kernel: Kernel, way: Way) -> &'static str {
    if kernel.has_neighbours() {
        return shader!("params/vectors");
    }
    let strided = matches!(kernel.mask(), Some(IndexKind::Strided(_)));
    if strided && way.params == ParamsSource::Bound {
        shader!("params/bound")
    } else {
        shader!("params/mask")
    }
}

/// The mask index of an element.
fn index(mask: IndexKind, way: Way) -> Vec<&'static str> {
    match mask {
        IndexKind::Linear => vec![shader!("index/linear")],
        IndexKind::Packed => vec![],
        IndexKind::Strided(strided) => vec![
            shader!("index/strided"),
            match way.params {
                ParamsSource::Immediates | ParamsSource::Uniform => {
                    shader!("index/dimensions_uniform")
                }
                ParamsSource::Bound => shader!("index/dimensions_bound"),
            },
            if strided.sample_ids {
                shader!("index/sample_ids")
            } else {
                shader!("index/sample_position")
            },
        ],
    }
}

/// The decisions of 32 elements.
fn decisions(mask: IndexKind) -> Vec<&'static str> {
    match mask {
        IndexKind::Linear => vec![shader!("decide/linear")],
        IndexKind::Packed => vec![shader!("decide/packed")],
        IndexKind::Strided(strided) => match strided.family {
            Family::BlockRows => vec![shader!("decide/blocks")],
            Family::Rows { .. } => vec![shader!("decide/rows")],
            Family::Runs { .. } => vec![shader!("decide/runs")],
            Family::Scattered => vec![shader!("decide/scattered")],
        },
    }
}
