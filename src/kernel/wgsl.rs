//! The text of each kernel, for readers and for other tools: compilers, validators, cost models,
//! hosts in another language. For kernels of your own, [`functions`] gives the mask contract as
//! text to include.
//!
//! ```
//! use wgpu_dropout::wgsl::{Variant, Way};
//!
//! let variant = Variant::all().next().unwrap();
//! for way in variant.ways() {
//!     assert!(variant.text(way).contains(&format!("fn {}(", variant.entry_point())));
//! }
//! ```
//!
//! # To dispatch one without this library
//!
//! The comments in a text explain its structs `Params` and `Dimension`. Numbers in brackets cite
//! the [mask contract](crate::mask). A host also has to know:
//!
//! - A dispatch processes the first `len` elements of its [buffers](Variant::buffers). Elements of
//!   16-bit types lie two to a word. The number of workgroups is `len` /
//!   [`elements_per_workgroup`](Variant::elements_per_workgroup), rounded up. Kernels of rows or
//!   columns need another number, which [`fused_launches`](crate::launch::fused_launches) gives for
//!   norms and softmaxes.
//! - Access by `words` is right for every length, and by `vectors` for multiples of 16 bytes.
//!   Access by `blocks` or `u64-blocks` is right for multiples of 8 elements, if the first mask
//!   index of each row is a multiple of 8 too.
//! - A layout has eight slots. Its dimensions fill the slots at the end, and the innermost
//!   dimension has the eighth slot. With `sample-ids` the dimension of the samples is in the first
//!   slot. All other slots have size 1, start 0 and stride 0. A kernel serves layouts of up to
//!   `dimensions` dimensions. `scattered` is right for every layout. `runs` and `rows` need an
//!   innermost dimension of 32 elements or more. It must not be the samples' dimension if these
//!   have ids. `rows` by `blocks` needs an innermost dimension whose size and `start` are multiples
//!   of 8. `whole-words` promises that this size and this `start` are multiples of 32.
//! - Bind a packed mask so that it begins with the dispatch's first word, and set `first_word` to
//!   0.

use core::iter;

use super::activated::Activated;
use super::axes::{Access, BufferLayout, Family, IndexKind, Kernel, Neighbours, Strided, Terms};
pub use super::axes::{
    BlockAccess, Buffer, BufferAccess, F16Conversion, Multiply, ParamsSource, Role, Way,
};
pub use super::functions::{FunctionsError, FunctionsOptions, functions};
use super::normed::Normed;
use super::softmaxed::Softmaxed;
use super::text::assemble;
use crate::contract::effect::Effect;
use crate::contract::element::ElementType;
use crate::contract::norm::MaskPlace;

/// One kernel: a module of WGSL as [`Dropout`](crate::Dropout),
/// [`GaussianDropout`](crate::GaussianDropout), [`KeepMask`](crate::KeepMask) or
/// [`PhiloxBlocks`](crate::PhiloxBlocks) gives it to wgpu, or a [`Launch`](crate::launch::Launch)
/// to another runtime. The [`Way`] in which a device runs it changes the text, but not the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    pub(crate) kernel: Kernel,
}

impl Variant {
    /// Every variant once, beginning with the `f32` dropout of consecutive mask indices. The set of
    /// variants may change in any release.
    pub fn all() -> impl Iterator<Item = Self> {
        kernels().map(|kernel| Self { kernel })
    }

    /// Returns true for one variant among those that differ only in the number of dimensions. A
    /// test that would take too long on every text may check this one for all of them.
    pub fn is_typical(&self) -> bool {
        let Some(IndexKind::Strided(strided)) = self.kernel.mask() else {
            return true;
        };
        match strided.family {
            Family::Rows { whole_words: true } | Family::Runs { whole_words: true } => {
                strided.dimensions == 8
            }
            _ => strided.dimensions == 2,
        }
    }

    /// The ways in which a device can run it.
    pub fn ways(&self) -> impl Iterator<Item = Way> + use<> {
        self.kernel.ways()
    }

    /// The whole module.
    pub fn text(&self, way: Way) -> String {
        assemble(self.kernel, way)
    }

    /// The name of its one entry point.
    pub fn entry_point(&self) -> &'static str {
        self.kernel.entry_point()
    }

    /// The buffers that the kernel binds. Immediates are not among them.
    pub fn buffers(&self, way: Way) -> Vec<Buffer> {
        self.kernel.buffers(way.params)
    }

    /// Number of elements that a workgroup processes, or of raw blocks for `philox-blocks`. For
    /// kernels of rows or columns it is the number of invocations. A host dispatches workgroups in
    /// the first dimension.
    pub fn elements_per_workgroup(&self) -> u32 {
        self.kernel.per_workgroup()
    }

    /// The fields, by name, that tell this variant and its way from all others. A field that does
    /// not apply is left out.
    ///
    /// | field | values |
    /// |---|---|
    /// | `kernel` | `dropout`, `copy` (a rate of 0), `activated`, `norm`, `norm-moments` (mean and deviation of rows), `softmax`, `keep-mask`, `column-tiles` and `column-totals` (sums of columns), `philox-blocks` |
    /// | `dtype` | an [`ElementType`] |
    /// | `layout` | `separate`, `pooled` (two ranges of one buffer), `in-place` |
    /// | `mask` | `linear` (consecutive indices); `packed`; or a word for the [layout](crate::MaskLayout)'s innermost dimension: `rows` (stride 1), `runs` (stride 0), `scattered` (any). `activated`, `norm` and `softmax` have only `linear`, `drawn` (any layout) and `by-side` (sample ids or a packed mask); their parameter `mode` tells them the rest |
    /// | `dimensions` | the most dimensions of a layout, after neighbours are merged |
    /// | `whole-words` | whether rows or runs are multiples of 32 elements: `yes`, `no` |
    /// | `sample-ids` | whether [ids](crate::Elements::samples) replace the outermost coordinate: `yes`, `no` |
    /// | `value` | `scale`: kept elements are multiplied; `keep`: they keep their bits; `affine`: they go through an affine map; `noise`: all elements are multiplied by noise |
    /// | `beside` | `residual`: a residual is added; `residual-and-vectors`: with a bias or scale too; `scale`: a scale is applied after dropout |
    /// | `stream` | the type of residual, sum and its gradient: the branch's `dtype`, or `f32` |
    /// | `terms` | the summed terms: `stored` (the elements), `scale` (the terms of a scale's gradient), `biased-scale` (the same with a bias), `wide-scale` (the same with an output gradient of `f32` for elements of 16 bits), `biased-wide-scale` (with both), `norm` (the terms of the gradient of a norm's γ) |
    /// | `form` | for `activated`: `forward`, `gradient`, `gated`, `gated-gradient`; for `norm`: `forward`, `gradient`, `forward-apart`, `gradient-apart` (these two bind one more range); for `softmax`: `forward`, `gradient`, `gradient-from-probabilities` |
    /// | `place` | the tensor that dropout is applied to: the `branch`, the norm's `output` |
    /// | `activation` | an [`Activation`](crate::Activation) |
    /// | `access` | `blocks` (16 bytes at once, whole mask blocks), `u64-blocks` (the same by 8 bytes), `vectors` (16 bytes at once), `words` (4 bytes at once) |
    /// | `conversion` | for `f16` that is scaled by blocks: `integers`, `hardware` (not exact on every device, see [`KernelDescriptor::f16_conversions`](crate::KernelDescriptor::f16_conversions)) |
    /// | `rounds` | the rounds of Philox, for `philox-blocks` |
    /// | `multiply` | `u64` (`SHADER_INT64`), `halves` |
    /// | `params` | `immediates` (`IMMEDIATES`), `uniform`, or `bound` in a buffer after input and output (a [`Launch`](crate::launch::Launch)) |
    pub fn fields(&self, way: Way) -> Vec<(&'static str, String)> {
        let kernel = self.kernel;
        let name = match kernel {
            Kernel::Dropout {
                effect: Effect::Copy,
                ..
            } => "copy",
            Kernel::Dropout { .. } => "dropout",
            Kernel::Activated(_) => "activated",
            Kernel::Normed(_) => "norm",
            Kernel::NormMoments(_) => "norm-moments",
            Kernel::Softmaxed(_) => "softmax",
            Kernel::KeepMask(_) => "keep-mask",
            Kernel::ColumnTiles { .. } => "column-tiles",
            Kernel::ColumnTotals => "column-totals",
            Kernel::PhiloxBlocks { .. } => "philox-blocks",
        };
        let mut fields = vec![("kernel", name.to_owned())];
        let mut push = |name, value: &str| fields.push((name, value.to_owned()));
        if let Kernel::Dropout {
            element, buffers, ..
        } = kernel
        {
            push("dtype", &element.to_string());
            let layout = match buffers {
                BufferLayout::Separate => "separate",
                BufferLayout::Pooled => "pooled",
                BufferLayout::InPlace => "in-place",
            };
            push("layout", layout);
        }
        if let Kernel::ColumnTiles { element, terms } = kernel {
            push("dtype", &element.to_string());
            let terms = match terms {
                Terms::Stored => "stored",
                Terms::Scale { bias, wide, .. } => match (bias, wide) {
                    (false, false) => "scale",
                    (true, false) => "biased-scale",
                    (false, true) => "wide-scale",
                    (true, true) => "biased-wide-scale",
                },
                Terms::Norm => "norm",
            };
            push("terms", terms);
        }
        let answer = |yes| if yes { "yes" } else { "no" };
        match kernel.mask() {
            None => {}
            Some(IndexKind::Linear) => push("mask", "linear"),
            Some(IndexKind::Packed) => push("mask", "packed"),
            Some(IndexKind::Strided(strided)) => {
                let (family, whole_words) = match strided.family {
                    Family::BlockRows => ("rows", None),
                    Family::Rows { whole_words } => ("rows", Some(whole_words)),
                    Family::Runs { whole_words } => ("runs", Some(whole_words)),
                    Family::Scattered => ("scattered", None),
                };
                push("mask", family);
                push("dimensions", &strided.dimensions.to_string());
                if let Some(whole_words) = whole_words {
                    push("whole-words", answer(whole_words));
                }
                push("sample-ids", answer(strided.sample_ids));
            }
        }
        if let Kernel::Dropout {
            element,
            neighbours,
            effect,
            access,
            ..
        } = kernel
        {
            match effect {
                Effect::Scale => push("value", "scale"),
                Effect::Keep => push("value", "keep"),
                Effect::Affine => push("value", "affine"),
                Effect::Noise => push("value", "noise"),
                Effect::Copy => {}
            }
            match neighbours {
                Neighbours::None => {}
                Neighbours::Add { vectors: false, .. } => push("beside", "residual"),
                Neighbours::Add { vectors: true, .. } => push("beside", "residual-and-vectors"),
                Neighbours::Scale { .. } => push("beside", "scale"),
            }
            if neighbours != Neighbours::None {
                push("stream", &neighbours.stream(element).to_string());
            }
            let access = match access {
                Access::Blocks if way.blocks == BlockAccess::U64 => "u64-blocks",
                Access::Blocks => "blocks",
                Access::Vectors => "vectors",
                Access::Words => "words",
            };
            push("access", access);
            if kernel.converts_f16() {
                let f16 = match way.f16 {
                    F16Conversion::Integers => "integers",
                    F16Conversion::Hardware => "hardware",
                };
                push("conversion", f16);
            }
        }
        if let Kernel::Activated(activated) = kernel {
            push("dtype", &activated.element.to_string());
            push("form", activated.form.name());
            push("activation", &activated.activation.to_string());
            push("mask", activated.decide.name());
            let access = if activated.by_vectors() {
                "vectors"
            } else {
                "words"
            };
            push("access", access);
        }
        if let Kernel::Normed(normed) = kernel {
            push("dtype", &normed.element.to_string());
            push("form", normed.form.name());
            let place = match normed.place {
                MaskPlace::Branch => "branch",
                MaskPlace::Output => "output",
            };
            push("place", place);
            push("mask", normed.decide.name());
            let access = if normed.by_vectors() {
                "vectors"
            } else {
                "words"
            };
            push("access", access);
        }
        if let Kernel::Softmaxed(softmaxed) = kernel {
            push("dtype", &softmaxed.element.to_string());
            push("form", softmaxed.form.name());
            push("mask", softmaxed.decide.name());
            let access = if softmaxed.by_vectors() {
                "vectors"
            } else {
                "words"
            };
            push("access", access);
        }
        if let Kernel::NormMoments(element) = kernel {
            push("dtype", &element.to_string());
        }
        if let Kernel::PhiloxBlocks { rounds } = kernel {
            push("rounds", &rounds.to_string());
        }
        if kernel.draws() {
            let multiply = match way.multiply {
                Multiply::U64 => "u64",
                Multiply::Halves => "halves",
            };
            push("multiply", multiply);
        }
        let params = match way.params {
            ParamsSource::Immediates => "immediates",
            ParamsSource::Uniform => "uniform",
            ParamsSource::Bound => "bound",
        };
        push("params", params);
        fields
    }
}

impl Way {
    /// The device features beyond WebGPU's defaults that the text needs, in wgpu's names. A text
    /// that needs none is standard WGSL, which browsers take too.
    pub fn features(self) -> Vec<&'static str> {
        let int64 = (self.multiply == Multiply::U64).then_some("SHADER_INT64");
        let immediates = (self.params == ParamsSource::Immediates).then_some("IMMEDIATES");
        int64.into_iter().chain(immediates).collect()
    }
}

/// Each kernel that can be dispatched. Copies for different masks differ only in bindings that they
/// do not use, so that the copy for consecutive indices stands for all of them.
fn kernels() -> impl Iterator<Item = Kernel> {
    const BUFFERS: [BufferLayout; 3] = [
        BufferLayout::Separate,
        BufferLayout::Pooled,
        BufferLayout::InPlace,
    ];
    const ELEMENTS: [ElementType; 3] = [ElementType::F32, ElementType::F16, ElementType::Bf16];
    let dropout = |(element, buffers)| {
        let alone =
            effects(buffers).map(|(mask, effect, access)| (mask, Neighbours::None, effect, access));
        let all = alone.chain(fused(element, buffers));
        all.flat_map(move |(mask, neighbours, effect, access)| {
            access.iter().map(move |&access| Kernel::Dropout {
                element,
                buffers,
                mask,
                neighbours,
                effect,
                access,
            })
        })
    };
    ELEMENTS
        .into_iter()
        .flat_map(|element| BUFFERS.map(|buffers| (element, buffers)))
        .flat_map(dropout)
        .chain(Activated::all().map(Kernel::Activated))
        .chain(Normed::all().map(Kernel::Normed))
        .chain(ELEMENTS.map(Kernel::NormMoments))
        .chain(Softmaxed::all().map(Kernel::Softmaxed))
        .chain(words().map(Kernel::KeepMask))
        .chain(ELEMENTS.into_iter().flat_map(columns))
        .chain([Kernel::ColumnTotals])
        .chain([10, 7].map(|rounds| Kernel::PhiloxBlocks { rounds }))
}

const BLOCKS: &[Access] = &[Access::Blocks];
const BY_WORD: &[Access] = &[Access::Vectors, Access::Words];

/// The sources, effects and accesses of dropout kernels.
fn effects(buffers: BufferLayout) -> impl Iterator<Item = (IndexKind, Effect, &'static [Access])> {
    let by_blocks = || {
        let rows = strided(Family::BlockRows).map(IndexKind::Strided);
        iter::once(IndexKind::Linear).chain(rows)
    };
    let masked = [Effect::Scale, Effect::Keep, Effect::Affine]
        .into_iter()
        .flat_map(move |effect| {
            let by_word = words().chain([IndexKind::Packed]);
            let blocks = by_blocks().map(move |mask| (mask, effect, BLOCKS));
            blocks.chain(by_word.map(move |mask| (mask, effect, BY_WORD)))
        });
    let noise = [(Family::BlockRows, BLOCKS), (Family::Scattered, BY_WORD)]
        .into_iter()
        .flat_map(|(family, access)| {
            let strided = strided(family).filter(Strided::serves_all);
            let masks = iter::once(IndexKind::Linear).chain(strided.map(IndexKind::Strided));
            masks.map(move |mask| (mask, Effect::Noise, access))
        });
    // In place a copy does nothing, so that no kernel is needed.
    let copy =
        (buffers != BufferLayout::InPlace).then_some((IndexKind::Linear, Effect::Copy, BY_WORD));
    masked.chain(noise).chain(copy)
}

/// The sources, neighbours, effects and accesses of dropout kernels with further operands. One
/// kernel serves layouts of any number of dimensions.
fn fused(
    element: ElementType,
    buffers: BufferLayout,
) -> impl Iterator<Item = (IndexKind, Neighbours, Effect, &'static [Access])> {
    let wide = if element.bytes() == 2 {
        &[false, true][..]
    } else {
        &[false]
    };
    let kinds = wide.iter().flat_map(|&wide| {
        let add = [false, true].map(|vectors| Neighbours::Add { vectors, wide });
        add.into_iter().chain([Neighbours::Scale { wide }])
    });
    let kinds = kinds.filter(move |kind| match buffers {
        // These kernels bind two ranges of one buffer in the same way as two buffers.
        BufferLayout::Separate => false,
        BufferLayout::Pooled => true,
        // An element cannot overwrite one of another size.
        BufferLayout::InPlace => *kind != Neighbours::Scale { wide: true },
    });
    kinds.flat_map(|neighbours| {
        let masks = words().chain([IndexKind::Packed]);
        let masks = masks.filter(|mask| *mask == mask.of_any_rows());
        let masked = masks.map(move |mask| (mask, neighbours, Effect::Scale, BY_WORD));
        masked.chain([(IndexKind::Linear, neighbours, Effect::Copy, BY_WORD)])
    })
}

/// Sums of columns of this type.
fn columns(element: ElementType) -> impl Iterator<Item = Kernel> {
    let masks = words().chain([IndexKind::Packed]);
    let masks = masks.filter(|mask| *mask == mask.of_any_rows());
    let masked = masks.map(|mask| (mask, Effect::Scale));
    let scale = masked.chain([(IndexKind::Linear, Effect::Copy)]);
    let scale = scale
        .flat_map(|(mask, effect)| [false, true].map(|bias| (mask, effect, bias)))
        .flat_map(move |(mask, effect, bias)| {
            let wide = [false, true]
                .into_iter()
                .filter(move |wide| !wide || element.bytes() == 2);
            wide.map(move |wide| Terms::Scale {
                mask,
                effect,
                bias,
                wide,
            })
        });
    [Terms::Stored, Terms::Norm]
        .into_iter()
        .chain(scale)
        .map(move |terms| Kernel::ColumnTiles { element, terms })
}

/// The sources of decisions for kernels that make a mask word at a time.
fn words() -> impl Iterator<Item = IndexKind> {
    let families = [true, false]
        .into_iter()
        .flat_map(|whole_words| [Family::Rows { whole_words }, Family::Runs { whole_words }])
        .chain([Family::Scattered]);
    iter::once(IndexKind::Linear).chain(families.flat_map(strided).map(IndexKind::Strided))
}

/// The kernels of a family.
fn strided(family: Family) -> impl Iterator<Item = Strided> {
    [false, true].into_iter().flat_map(move |sample_ids| {
        Strided::DIMENSIONS
            .into_iter()
            .map(move |dimensions| Strided {
                family,
                dimensions,
                sample_ids,
            })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::super::axes::WORKGROUP_SIZE;
    use super::*;
    use crate::contract::layout::MaskLayout;
    use crate::plan::index_map::IndexMap;

    fn validate(source: &str, capabilities: Capabilities) -> Result<naga::Module, String> {
        let module = naga::front::wgsl::parse_str(source).map_err(|error| error.to_string())?;
        Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|error| error.emit_to_string(source))?;
        Ok(module)
    }

    /// Group, binding, name and access, as a text declares them.
    fn declared(module: &naga::Module) -> Vec<(u32, u32, String, BufferAccess)> {
        let mut buffers: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| {
                let access = match variable.space {
                    naga::AddressSpace::Uniform => BufferAccess::Uniform,
                    naga::AddressSpace::Storage { access }
                        if access.contains(naga::StorageAccess::STORE) =>
                    {
                        BufferAccess::ReadWrite
                    }
                    naga::AddressSpace::Storage { .. } => BufferAccess::Read,
                    _ => return None,
                };
                let binding = variable.binding?;
                let name = variable.name.clone().unwrap();
                Some((binding.group, binding.binding, name, access))
            })
            .collect();
        buffers.sort_by_key(|(group, binding, ..)| (*group, *binding));
        buffers
    }

    fn variants() -> impl Iterator<Item = (Variant, Way)> {
        Variant::all().flat_map(|variant| variant.ways().map(move |way| (variant, way)))
    }

    /// Each typical kernel in one of its ways. One kernel after the other takes the next way.
    fn typical() -> impl Iterator<Item = (Variant, Way)> {
        let kernels = Variant::all().filter(Variant::is_typical);
        kernels.enumerate().flat_map(|(turn, variant)| {
            let ways: Vec<_> = variant.ways().collect();
            ways.get(turn % ways.len()).map(|way| (variant, *way))
        })
    }

    #[test]
    fn every_kernel_is_valid_and_asks_for_no_more_than_its_way_says() {
        for (variant, way) in typical() {
            let mut capabilities = Capabilities::empty();
            capabilities.set(
                Capabilities::IMMEDIATES,
                way.params == ParamsSource::Immediates,
            );
            capabilities.set(Capabilities::SHADER_INT64, way.multiply == Multiply::U64);
            // WebGPU has these conversions. naga names them for OpenGL ES 3.0, which lacks them.
            capabilities.set(
                Capabilities::SHADER_FLOAT16_IN_FLOAT32,
                way.f16 == F16Conversion::Hardware,
            );
            let module = validate(&variant.text(way), capabilities).unwrap();
            let [entry] = &module.entry_points[..] else {
                panic!("one entry point")
            };
            assert_eq!(entry.name, variant.entry_point());
            assert_eq!(entry.workgroup_size, [WORKGROUP_SIZE, 1, 1]);
            let listed: Vec<_> = variant
                .buffers(way)
                .into_iter()
                .map(|buffer| {
                    let name = buffer.role.name().to_owned();
                    (buffer.group, buffer.binding, name, buffer.access)
                })
                .collect();
            assert_eq!(declared(&module), listed, "{variant:?}");
        }
    }

    #[test]
    fn a_capability_that_is_missing_is_seen() {
        let (variant, way) = variants().next().unwrap();
        let all = Capabilities::IMMEDIATES | Capabilities::SHADER_INT64;
        assert!(validate(&variant.text(way), all).is_ok());
        for missing in all {
            assert!(validate(&variant.text(way), all - missing).is_err());
        }
    }

    #[test]
    fn variants_differ_in_fields_and_text() {
        let (mut fields, mut texts) = (HashSet::new(), HashSet::new());
        let (mut fused, mut activated, mut normed, mut softmaxed) = (0, 0, 0, 0);
        for (variant, way) in variants() {
            fused += usize::from(variant.kernel.has_neighbours());
            activated += usize::from(matches!(variant.kernel, Kernel::Activated(_)));
            normed += usize::from(matches!(variant.kernel, Kernel::Normed(_)));
            softmaxed += usize::from(matches!(variant.kernel, Kernel::Softmaxed(_)));
            assert!(fields.insert(variant.fields(way)), "{variant:?} {way:?}");
            assert!(texts.insert(variant.text(way)), "{variant:?} {way:?}");
        }
        let alone = fields.len() - fused - activated - normed - softmaxed;
        assert!(alone <= 12_500, "{alone} texts of dropout alone");
        assert!(fused <= 2_000, "{fused} texts with neighbours");
        assert!(activated <= 1_200, "{activated} texts with activations");
        assert!(normed <= 300, "{normed} texts with norms");
        assert!(softmaxed <= 120, "{softmaxed} texts with softmaxes");
    }

    #[test]
    fn every_constant_of_a_text_is_used() {
        for (variant, way) in typical() {
            let text = variant.text(way);
            for line in text.lines().filter(|line| line.starts_with("const ")) {
                let name = line[6..].split([':', ' ']).next().unwrap();
                let uses = text.matches(name).count();
                // Every text has these constants, although only some maps and entries read them.
                let values = [
                    "LANES",
                    "LANE_BITS",
                    "FACTOR_MAY_BE_0",
                    "SKIP_DROPPED",
                    "IN_PLACE",
                ];
                // These constants name modes that parameters may ask for. A kernel need not use
                // every mode.
                let modes = [
                    "RMS",
                    "HAS_BIAS",
                    "HAS_RESIDUAL",
                    "SUM_IN_OUTPUT",
                    "ACCUMULATE",
                    "ADDITIVE",
                    "CAUSAL",
                    "IN_OUTPUT",
                    "PROBABILITIES",
                ];
                let told = modes.contains(&name) || name.starts_with("DECIDE_");
                let optional = values.contains(&name) || told;
                assert!(uses > 1 || optional, "{name} in {variant:?} {way:?}");
            }
        }
    }

    #[test]
    fn a_workgroup_takes_256_words_columns_or_blocks() {
        for variant in Variant::all() {
            let elements = match variant.kernel {
                Kernel::PhiloxBlocks { .. }
                | Kernel::ColumnTiles { .. }
                | Kernel::ColumnTotals
                | Kernel::Normed(_)
                | Kernel::NormMoments(_)
                | Kernel::Softmaxed(_) => 256,
                _ => 32 * 256,
            };
            assert_eq!(variant.elements_per_workgroup(), elements, "{variant:?}");
        }
    }

    #[test]
    fn copies_and_packed_masks_draw_nothing() {
        for (variant, way) in typical() {
            let fields = variant.fields(way);
            let has = |name, value: &str| fields.contains(&(name, value.to_owned()));
            let is_sum = matches!(
                variant.kernel,
                Kernel::ColumnTiles { .. } | Kernel::ColumnTotals | Kernel::NormMoments(_)
            );
            let sums_what_is_stored = is_sum && variant.kernel.mask().is_none();
            let draws = !has("kernel", "copy") && !has("mask", "packed") && !sums_what_is_stored;
            let text = variant.text(way);
            assert_eq!(text.contains("fn dropout_philox"), draws, "{variant:?}");
        }
    }

    #[test]
    fn copies_of_all_masks_are_one_text() {
        let copy = |mask| Kernel::Dropout {
            element: ElementType::F32,
            buffers: BufferLayout::Separate,
            mask,
            neighbours: Neighbours::None,
            effect: Effect::Copy,
            access: Access::Vectors,
        };
        let way = Way {
            multiply: Multiply::Halves,
            params: ParamsSource::Uniform,
            blocks: BlockAccess::Vectors,
            f16: F16Conversion::Integers,
        };
        let text = |mask| assemble(copy(mask), way);
        let linear = text(IndexKind::Linear);
        for mask in words().chain([IndexKind::Packed]) {
            assert_eq!(text(mask), linear);
            assert_eq!(text(mask.of_copy()), linear);
        }
    }

    #[test]
    fn the_kernels_that_layouts_choose_are_listed() {
        let known: HashSet<_> = words()
            .chain(strided(Family::BlockRows).map(IndexKind::Strided))
            .collect();
        let mut chosen = HashSet::new();
        for inner in [1, 8, 31, 32, 33] {
            for strides in [
                [5000, 50, 0],
                [5000, 50, 1],
                [8000, 80, 3],
                [0, 50, 0],
                [8000, 80, 1],
            ] {
                for dimensions in 1..=3 {
                    let shape = &[5, 7, inner][3 - dimensions..];
                    let layout = MaskLayout::strided(shape, &strides[3 - dimensions..]).unwrap();
                    for sample_ids in [false, true] {
                        let map = IndexMap::of_layout(&layout, sample_ids).unwrap();
                        chosen.extend([map.by_word(), map.by_element()]);
                        chosen.extend(map.by_block(0));
                    }
                }
            }
        }
        assert!(chosen.is_subset(&known), "{:?}", &chosen - &known);
        // For each family, with ids and without, the planner chooses the listed kernel of the
        // fewest dimensions for some layout.
        let least = |kinds: &HashSet<IndexKind>, is: fn(Family) -> bool, sample_ids| {
            let dimensions = kinds.iter().filter_map(|kind| match kind {
                IndexKind::Strided(strided)
                    if is(strided.family) && strided.sample_ids == sample_ids =>
                {
                    Some(strided.dimensions)
                }
                _ => None,
            });
            dimensions.min()
        };
        let families: [fn(Family) -> bool; 4] = [
            |family| matches!(family, Family::BlockRows),
            |family| matches!(family, Family::Rows { .. }),
            |family| matches!(family, Family::Runs { .. }),
            |family| matches!(family, Family::Scattered),
        ];
        for is in families {
            for sample_ids in [false, true] {
                let [known, chosen] = [&known, &chosen].map(|kinds| least(kinds, is, sample_ids));
                assert!(known.is_some());
                assert_eq!(known, chosen, "{sample_ids}");
            }
        }
    }
}
