//! Assembles the WGSL of each kernel. This is the only file that knows the names of the shader
//! files.
//!
//! A module is a prelude of constants, aliases and bindings, followed by shader files as they are.
//! Their order is free, since WGSL lets a declaration be used before it.

use super::activated::{Activated, Decide, Form};
use super::axes::{
    Access, BlockAccess, Buffer, BufferAccess, BufferLayout, F16Conversion, Family, IndexKind,
    Kernel, Multiply, Neighbours, ParamsSource, Role, Strided, TILE_ROWS, TOTALS_PER_WORKGROUP,
    Terms, WORKGROUP_SIZE, Way,
};
use super::normed::{NormForm, Normed};
use super::softmaxed::{SoftmaxForm, Softmaxed};
use crate::contract::activation::Activation;
use crate::contract::effect::Effect;
use crate::contract::element::ElementType;
use crate::contract::norm::MaskPlace;

macro_rules! shader {
    ($name:expr) => {
        include_str!(concat!("../../shaders/", $name, ".wgsl"))
    };
}

/// The files of a text that makes decisions by one function only. Texts with several of these
/// functions choose among them at run time.
macro_rules! decided_by {
    ($file:literal, $function:literal) => {
        vec![
            shader!(concat!("decide/", $file)),
            concat!(
                "fn mask_word(word: u32) -> u32 {\n    return ",
                $function,
                "(word);\n}\n"
            ),
        ]
    };
}

/// The whole WGSL module of `kernel`.
pub(crate) fn assemble(kernel: Kernel, way: Way) -> String {
    let mut parts = vec![prelude(kernel, way)];
    parts.extend(files(kernel, way).into_iter().map(str::to_owned));
    parts.join("\n")
}

/// The mask contract as functions of their arguments alone, to include in the caller's own kernels.
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

/// The files of mask indices and of decisions.
fn mask_files() -> [&'static str; 2] {
    [shader!("mask/index"), shader!("mask/keep")]
}

/// The files of the random numbers.
fn generator(multiply: Multiply) -> [&'static str; 2] {
    let product = match multiply {
        Multiply::U64 => shader!("mask/product_u64"),
        Multiply::Halves => shader!("mask/product_halves"),
    };
    [product, shader!("mask/philox")]
}

/// The names that the shader files use and do not declare.
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
        let stream = neighbours.stream(element);
        // A run is kept or dropped as a whole, and often covers several words, so that loading
        // dropped ones would be a waste.
        let skip_dropped = matches!(
            kernel.mask(),
            Some(IndexKind::Strided(Strided {
                family: Family::Runs { .. },
                ..
            }))
        );
        constant("SKIP_DROPPED", &skip_dropped);
        // At a rate of 1 the factor is 0, and only a packed mask keeps elements then.
        let factor_may_be_0 = kernel.mask() == Some(IndexKind::Packed);
        constant("FACTOR_MAY_BE_0", &factor_may_be_0);
        if matches!(neighbours, Neighbours::Add { .. }) {
            constant("ELEMENT_BITS", &element_bits(stream));
        }
        lines.extend(words(stream, access == Access::Words));
    }
    if let Kernel::Activated(activated) = kernel {
        lines.extend(activated_prelude(activated));
    }
    let row_words = match kernel {
        Kernel::Normed(normed) => Some((normed.element, !normed.by_vectors())),
        Kernel::NormMoments(element) => Some((element, true)),
        Kernel::Softmaxed(softmaxed) => Some((softmaxed.element, !softmaxed.by_vectors())),
        _ => None,
    };
    if let Some((element, is_narrow)) = row_words {
        lines.extend(words(element, is_narrow));
        let element_bits = element_bits(element);
        lines.push(format!("const ELEMENT_BITS = {element_bits};"));
        lines.push("const FACTOR_MAY_BE_0 = true;".to_owned());
    }
    if let Kernel::Normed(_) | Kernel::Softmaxed(_) = kernel {
        lines.push("const DIMENSIONS = 8u;".to_owned());
    }
    if let Kernel::Softmaxed(Softmaxed { element, form, .. }) = kernel {
        let nan_bits = match element {
            ElementType::F32 => "0x7fc00000u",
            ElementType::F16 => "0x7e00u",
            ElementType::Bf16 => "0x7fc0u",
        };
        lines.push(format!("const NAN_BITS = {nan_bits};"));
        if form != SoftmaxForm::Forward {
            let from_probabilities = form == SoftmaxForm::GradientFromProbabilities;
            lines.push(format!("const FROM_PROBABILITIES = {from_probabilities};"));
        }
    }
    if let Kernel::Normed(Normed { place, .. }) = kernel {
        let on_output = place == MaskPlace::Output;
        lines.push(format!("const MASK_ON_OUTPUT = {on_output};"));
    }
    if let Kernel::ColumnTiles { element, .. } = kernel {
        let lanes = 4 / element.bytes();
        let element_bits = element_bits(element);
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
            // A copy has its mask's bindings, but reads no mask, so that the text does not declare
            // them.
            .filter(|buffer| {
                let takes_mode = matches!(
                    kernel,
                    Kernel::Activated(_) | Kernel::Normed(_) | Kernel::Softmaxed(_)
                );
                let decides = kernel.mask().is_some() || takes_mode;
                decides || !buffer.role.is_of_mask()
            })
            .map(|buffer| declaration(kernel, way, buffer)),
    );
    lines.push(String::new());
    lines.join("\n")
}

/// The bits of one element in a word.
fn element_bits(element: ElementType) -> &'static str {
    match element.bytes() {
        2 => "0xffffu",
        _ => "0xffffffffu",
    }
}

/// The declarations of `Word` and what belongs to it. A `Word` has 16 bytes, or 4 if `narrow`.
fn words(element: ElementType, narrow: bool) -> Vec<String> {
    let (lanes, lane_bits) = match (narrow, element.bytes() == 2) {
        (false, false) => (4, "Word(1u, 2u, 4u, 8u)"),
        (false, true) => (8, "Word(1u, 4u, 16u, 64u)"),
        (true, false) => (1, "Word(1u)"),
        (true, true) => (2, "Word(1u)"),
    };
    let aliases = if narrow {
        [
            "alias Word = u32;",
            "alias Float = f32;",
            "alias Keep = bool;",
        ]
    } else {
        [
            "alias Word = vec4<u32>;",
            "alias Float = vec4<f32>;",
            "alias Keep = vec4<bool>;",
        ]
    };
    // `LANES` is the number of elements in a `Word`. `LANE_BITS` has one bit for each `u32` of a
    // `Word`: the bit of its element, or of the element in its lower half if it holds two.
    let constants = [
        format!("const LANES = {lanes}u;"),
        format!("const LANE_BITS = {lane_bits};"),
    ];
    constants
        .into_iter()
        .chain(aliases.map(str::to_owned))
        .collect()
}

fn activated_prelude(kernel: Activated) -> Vec<String> {
    let mut lines = words(kernel.element, !kernel.by_vectors());
    lines.push("const DIMENSIONS = 8u;".to_owned());
    lines.push("const SKIP_DROPPED = false;".to_owned());
    if kernel.element != ElementType::F32 {
        lines.push("const FACTOR_MAY_BE_0 = true;".to_owned());
    }
    if kernel.form != Form::Forward {
        let element_bits = element_bits(kernel.element);
        lines.push(format!("const ELEMENT_BITS = {element_bits};"));
    }
    lines
}

impl Role {
    /// Returns true if the buffer is used only for decisions.
    fn is_of_mask(self) -> bool {
        matches!(self, Self::Dimensions | Self::SampleIds | Self::Mask)
    }
}

impl Kernel {
    /// Returns true if this buffer has 16-bit elements and a `Word` of the kernel takes only four
    /// of them.
    fn has_four_of_16_bits(self, role: Role) -> bool {
        let Self::Dropout {
            neighbours,
            access: Access::Vectors,
            ..
        } = self
        else {
            return false;
        };
        match neighbours {
            Neighbours::Add { wide: true, .. } => role == Role::Input,
            Neighbours::Scale { wide: true } => role == Role::Output,
            _ => false,
        }
    }
}

/// Returns true if the text accesses elements by `u64`.
fn accesses_by_u64(kernel: Kernel, way: Way) -> bool {
    kernel.decides_blocks() && way.blocks == BlockAccess::U64
}

fn declaration(kernel: Kernel, way: Way, buffer: Buffer) -> String {
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
        role if kernel.has_four_of_16_bits(role) => "array<vec2<u32>>",
        Role::Input | Role::Output | Role::Data if accesses_by_u64(kernel, way) => "array<u64>",
        Role::Input
        | Role::Output
        | Role::Data
        | Role::Residual
        | Role::Up
        | Role::Sum
        | Role::Masked
        | Role::Probabilities
        | Role::Gradient => "array<Word>",
        Role::Scratch | Role::Sums | Role::Moments => "array<f32>",
        Role::Vectors => "array<Float>",
        Role::Mask | Role::SampleIds | Role::Side => "array<u32>",
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
            let Terms::Scale {
                mask, bias, wide, ..
            } = terms
            else {
                files.push(match terms {
                    Terms::Norm => shader!("columns/of_norm"),
                    _ => shader!("columns/stored"),
                });
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
                match wide {
                    true => shader!("columns/gradient_f32"),
                    false => shader!("columns/gradient"),
                },
            ]);
            return files;
        }
        Kernel::Activated(activated) => {
            files.extend(activated_files(activated));
            return files;
        }
        Kernel::Normed(normed) => {
            files.extend(normed_files(normed));
            return files;
        }
        Kernel::Softmaxed(softmaxed) => {
            files.extend(softmaxed_files(softmaxed));
            return files;
        }
        Kernel::NormMoments(element) => {
            files.extend([shader!("mask/mask"), shader!("params/norm")]);
            files.extend(row_files(element, true));
            files.extend([
                shader!("norm/moments"),
                shader!("norm/stored"),
                shader!("entry/norm_moments"),
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
                match access {
                    Access::Blocks => shader!("decide/all_blocks"),
                    Access::Vectors | Access::Words => shader!("decide/all"),
                },
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
    let stream = neighbours.stream(element);
    let by_hardware = kernel.converts_f16() && way.f16 == F16Conversion::Hardware;
    if !by_hardware {
        files.push(element_file(element));
    }
    files.push(match (access, stream.bytes()) {
        (Access::Blocks, 2) if by_hardware => shader!("io/block_of_f16"),
        (Access::Blocks, 2) => shader!("io/block_of_pairs"),
        (Access::Blocks, _) => shader!("io/block_of_words"),
        (_, 2) => shader!("element/pairs"),
        _ => shader!("element/words"),
    });
    files.extend(match (neighbours, effect) {
        (Neighbours::Add { .. }, _) => vec![
            shader!("value/add"),
            match buffers {
                BufferLayout::InPlace => shader!("io/residual_in_output"),
                BufferLayout::Separate | BufferLayout::Pooled => shader!("io/residual"),
            },
        ],
        (Neighbours::Scale { .. }, _) => vec![shader!("value/scale_after")],
        (Neighbours::None, Effect::Scale) if by_hardware => vec![],
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
    if accesses_by_u64(kernel, way) {
        files.push(shader!("io/by_u64"));
    }
    files.push(match (buffers, neighbours) {
        (_, Neighbours::Add { wide: true, .. }) if access == Access::Words => {
            shader!("io/wide_sum_by_words")
        }
        (_, Neighbours::Add { wide: true, .. }) => shader!("io/wide_sum"),
        (_, Neighbours::Scale { wide: true }) if access == Access::Words => {
            shader!("io/wide_gradient_by_words")
        }
        (_, Neighbours::Scale { wide: true }) => shader!("io/wide_gradient"),
        (BufferLayout::InPlace, Neighbours::None) if accesses_by_u64(kernel, way) => {
            shader!("io/in_place_by_u64")
        }
        (BufferLayout::InPlace, Neighbours::None | Neighbours::Scale { .. }) => {
            shader!("io/in_place")
        }
        _ if accesses_by_u64(kernel, way) => shader!("io/two_by_u64"),
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
        files.push(match stream == element {
            true => shader!("element/stream_alike"),
            false => shader!("element/stream_f32"),
        });
        files.extend(vectors(kernel, stream, access));
    }
    files
}

/// The file of an element's bits.
fn element_file(element: ElementType) -> &'static str {
    match element {
        ElementType::F32 => shader!("element/f32"),
        ElementType::F16 => shader!("element/f16"),
        ElementType::Bf16 => shader!("element/bf16"),
    }
}

/// The bits of an element, and the elements of a `Word`. If the `stream` has 32 bits, a `Word` has
/// one element in each lane.
fn element_files(element: ElementType, stream: ElementType) -> [&'static str; 2] {
    let word = match stream.bytes() {
        2 => shader!("element/pairs"),
        _ => shader!("element/words"),
    };
    [element_file(element), word]
}

/// The files of a bias and a scale.
fn vectors(kernel: Kernel, element: ElementType, access: Access) -> Vec<&'static str> {
    if !kernel.has_vectors() {
        return vec![shader!("vectors/none")];
    }
    let load = vector_load(element, access == Access::Words);
    vec![shader!("vectors/some"), shader!("vectors/number"), load]
}

fn vector_load(element: ElementType, narrow: bool) -> &'static str {
    match (element.bytes(), narrow) {
        (2, false) => shader!("vectors/of_pairs"),
        (2, true) => shader!("vectors/of_pair"),
        _ => shader!("vectors/of_words"),
    }
}

/// The files of an activation before dropout, without the generator's.
fn activated_files(kernel: Activated) -> Vec<&'static str> {
    let mut files = vec![shader!("mask/mask"), shader!("params/activated")];
    files.extend(decisions_by_mode(kernel.decide));
    files.extend(element_files(kernel.element, kernel.element));
    files.extend(activation(kernel.activation));
    files.push(shader!("activation/nan"));
    files.extend(match kernel.form {
        Form::Forward => vec![shader!("value/activated"), shader!("io/activated")],
        Form::Gradient => vec![
            shader!("value/activated_gradient"),
            shader!("io/activated_gradient"),
            shader!("element/half"),
        ],
        Form::Gated => vec![
            shader!("value/gated"),
            shader!("io/gated"),
            shader!("index/halves"),
            shader!("element/half"),
        ],
        Form::GatedGradient => vec![
            shader!("value/gated_gradient"),
            shader!("io/gated_gradient"),
            shader!("index/halves"),
            shader!("element/half"),
        ],
    });
    files.extend([
        shader!("vectors/biases"),
        shader!("vectors/number"),
        vector_load(kernel.element, !kernel.by_vectors()),
        shader!("io/word"),
        shader!("entry/activated"),
    ]);
    files
}

/// The files of decisions that are made in the way which the parameters ask for.
fn decisions_by_mode(decide: Decide) -> Vec<&'static str> {
    let mut files = vec![shader!("decide/modes")];
    files.extend(mask_files());
    files.extend([
        shader!("index/strided"),
        shader!("index/dimensions_uniform"),
        match decide {
            Decide::Linear | Decide::Drawn => shader!("index/sample_position"),
            Decide::BySide => shader!("index/sample_side"),
        },
    ]);
    match decide {
        Decide::Linear => {
            files.extend([shader!("decide/linear"), shader!("decide/linear_or_all")]);
        }
        Decide::Drawn => {
            files.extend([shader!("decide/in_turn"), shader!("decide/any_drawn")]);
        }
        Decide::BySide => {
            files.extend([shader!("decide/in_turn"), shader!("decide/any")]);
        }
    }
    files
}

/// The files of a norm after a residual and a branch, without the generator's.
fn normed_files(kernel: Normed) -> Vec<&'static str> {
    let mut files = vec![shader!("mask/mask"), shader!("params/norm")];
    files.extend(decisions_by_mode(kernel.decide));
    files.extend(row_files(kernel.element, !kernel.by_vectors()));
    files.extend([
        shader!("norm/moments"),
        shader!("norm/decisions"),
        shader!("norm/vectors"),
        vector_load(kernel.element, !kernel.by_vectors()),
        shader!("io/row_output"),
    ]);
    files.extend(match kernel.form {
        NormForm::Forward => vec![shader!("io/norm"), shader!("io/residual_in_sum")],
        NormForm::ForwardApart => vec![shader!("io/norm"), shader!("io/residual")],
        NormForm::Gradient => vec![
            shader!("io/norm_gradient"),
            shader!("io/masked_in_gradient"),
        ],
        NormForm::GradientApart => vec![shader!("io/norm_gradient"), shader!("io/masked")],
    });
    if kernel.form.is_gradient() {
        files.extend([shader!("norm/stored"), shader!("entry/norm_gradient")]);
    } else {
        files.push(shader!("entry/norm_rows"));
    }
    files
}

/// The files of a softmax before dropout, without the generator's.
fn softmaxed_files(kernel: Softmaxed) -> Vec<&'static str> {
    let is_narrow = !kernel.by_vectors();
    let mut files = vec![shader!("mask/mask"), shader!("params/softmax")];
    files.extend(decisions_by_mode(kernel.decide));
    files.extend(row_files(kernel.element, is_narrow));
    files.extend([
        shader!("norm/decisions"),
        vector_load(kernel.element, is_narrow),
        shader!("softmax/scores"),
        shader!("io/row_output"),
        match (is_narrow, kernel.element.bytes()) {
            (false, _) => shader!("softmax/wide_row"),
            (true, 2) => shader!("softmax/two_rows"),
            (true, _) => shader!("softmax/one_row"),
        },
    ]);
    files.extend(match kernel.form {
        SoftmaxForm::Forward => [shader!("io/softmax"), shader!("entry/softmax_rows")],
        SoftmaxForm::Gradient | SoftmaxForm::GradientFromProbabilities => [
            shader!("io/softmax_gradient"),
            shader!("entry/softmax_gradient"),
        ],
    });
    files
}

/// The files of rows and their sums.
fn row_files(element: ElementType, is_narrow: bool) -> [&'static str; 5] {
    let rows = match (is_narrow, element.bytes()) {
        (false, _) => shader!("norm/wide_row"),
        (true, 2) => shader!("norm/two_rows"),
        (true, _) => shader!("norm/one_row"),
    };
    [
        element_file(element),
        shader!("element/half"),
        rows,
        shader!("norm/rows"),
        shader!("norm/pairs"),
    ]
}

/// The files of the activation and its derivative.
fn activation(activation: Activation) -> Vec<&'static str> {
    match activation {
        Activation::Identity => vec![shader!("activation/identity")],
        Activation::Relu => vec![shader!("activation/relu")],
        Activation::Gelu => vec![shader!("activation/gelu")],
        Activation::GeluTanh => vec![
            shader!("activation/logistic"),
            shader!("activation/gelu_tanh"),
        ],
        Activation::Silu => vec![shader!("activation/logistic"), shader!("activation/silu")],
        Activation::QuickGelu => vec![
            shader!("activation/logistic"),
            shader!("activation/quick_gelu"),
        ],
        Activation::SquaredRelu => vec![shader!("activation/squared_relu")],
    }
}

/// The shader file with the parameters of a dispatch.
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

/// The files of an element's mask index.
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

/// The files of the decisions of 32 elements.
fn decisions(mask: IndexKind) -> Vec<&'static str> {
    match mask {
        IndexKind::Linear => decided_by!("linear", "linear_word"),
        IndexKind::Packed => decided_by!("packed", "packed_word"),
        IndexKind::Strided(strided) => match strided.family {
            Family::BlockRows => vec![shader!("decide/blocks")],
            Family::Rows { .. } => decided_by!("rows", "row_word"),
            Family::Runs { .. } => decided_by!("runs", "run_word"),
            Family::Scattered => decided_by!("scattered", "scattered_word"),
        },
    }
}
