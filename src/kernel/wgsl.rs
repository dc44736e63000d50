//! The text of each kernel, for readers and for other tools: compilers, validators, cost models,
//! hosts in another language.
//!
//! ```
//! use wgpu_dropout::wgsl::Variant;
//!
//! let is_f16 = |variant: &Variant| variant.fields().contains(&("dtype", "f16".into()));
//! let variant = Variant::all().find(is_f16).unwrap();
//! assert!(variant.text().contains(&format!("fn {}(", variant.entry_point())));
//! ```
//!
//! # To dispatch one without this library
//!
//! The comments of a text say what its `Params` and `Dimension` hold; numbers in brackets are those of
//! the [mask contract](crate::mask). Beside them:
//!
//! - A dispatch takes the first `len` elements of its [buffers](Variant::buffers), 16-bit types two
//!   a word, by `len` / [`elements_per_workgroup`](Variant::elements_per_workgroup) workgroups, rounded
//!   up. `gaussian` takes those of `first_lane + len`: its lanes are those of blocks of four \[M18\].
//! - Access by `words` is right for every length, by `vectors` for multiples of 16 bytes, by `blocks`
//!   for multiples of 8 elements where each row's first mask index is one of 8 too.
//! - `dimensions` are row major, the outermost first, zeros behind the last. `scattered` is right for
//!   every layout. `runs` needs an innermost dimension of 32 elements or more, `rows` too, or by
//!   `blocks` one whose size and `start` are multiples of 8; `whole-words` is a promise that both are
//!   multiples of 32.
//! - A packed mask begins with the dispatch's first word: `first_block.x` is 0 then.

use core::iter;

use crate::contract::element::ElementType;
use crate::contract::layout::MaskLayout;
use crate::kernel::source::{
    Access, BufferLayout, Family, Kernel, MaskSource, Multiply, ParamsSource, Strided, ValueMap,
    assemble,
};

/// One kernel for one set of features: a module of WGSL as [`Dropout`](crate::Dropout),
/// [`GaussianDropout`](crate::GaussianDropout), [`KeepMask`](crate::KeepMask) or
/// [`PhiloxBlocks`](crate::PhiloxBlocks) gives it to wgpu, or a [`Launch`](crate::launch::Launch) to
/// another runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    pub(crate) kernel: Kernel,
    pub(crate) multiply: Multiply,
    pub(crate) params: ParamsSource,
}

impl Variant {
    /// Every one, each once; first the `f32` dropout of consecutive mask indices.
    pub fn all() -> impl Iterator<Item = Self> {
        kernels().flat_map(|kernel| {
            let multiplies: &[Multiply] = if kernel.draws() {
                &[Multiply::U64, Multiply::Halves]
            } else {
                &[Multiply::Halves]
            };
            const PARAMS: &[ParamsSource] = &[
                ParamsSource::Immediates,
                ParamsSource::Uniform,
                ParamsSource::Bound,
            ];
            let params = &PARAMS[..if kernel.takes_bound_params() { 3 } else { 2 }];
            multiplies.iter().flat_map(move |&multiply| {
                params.iter().map(move |&params| Self {
                    kernel,
                    multiply,
                    params,
                })
            })
        })
    }

    /// The whole module.
    pub fn text(&self) -> String {
        assemble(self.kernel, self.multiply, self.params)
    }

    /// The name of its one entry point.
    pub fn entry_point(&self) -> &'static str {
        self.kernel.entry_point()
    }

    /// What it asks of a device beyond WebGPU's defaults. Without any its text is standard WGSL,
    /// which browsers take too.
    pub fn features(&self) -> wgpu::Features {
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::SHADER_INT64, self.multiply == Multiply::U64);
        features.set(
            wgpu::Features::IMMEDIATES,
            self.params == ParamsSource::Immediates,
        );
        features
    }

    /// The buffers that it binds; immediates are none.
    pub fn buffers(&self) -> Vec<Buffer> {
        self.kernel.buffers(self.params)
    }

    /// How many elements, raw blocks of `philox-blocks`, a workgroup takes. What is dispatched is
    /// these workgroups, in the first dimension.
    pub fn elements_per_workgroup(&self) -> u32 {
        self.kernel.per_workgroup()
    }

    /// What tells it from all others, by name, as far as it applies.
    ///
    /// | field | values |
    /// |---|---|
    /// | `kernel` | `dropout`, `copy` (a rate of 0), `gaussian`, `keep-mask`, `philox-blocks` |
    /// | `dtype` | an [`ElementType`] |
    /// | `layout` | `separate`, `pooled` (two ranges of one buffer), `in-place` |
    /// | `mask` | `linear` (consecutive indices), `packed`, or by the [layout](MaskLayout)'s innermost stride `rows` (1), `runs` (0), `scattered` |
    /// | `dimensions` | of the layout, neighbours merged |
    /// | `whole-words` | whether rows or runs are multiples of 32 elements: `yes`, `no` |
    /// | `sample-ids` | whether [ids](crate::Elements::Samples) stand for the outermost coordinate: `yes`, `no` |
    /// | `value` | kept elements are `scale`d, `keep` their bits, or go through an `affine` map |
    /// | `access` | 16 bytes at once, by mask `blocks` or as `vectors`; 4 bytes, `words` |
    /// | `rounds` | of Philox, where it is not the mask's |
    /// | `multiply` | `u64` ([`SHADER_INT64`](wgpu::Features::SHADER_INT64)), `halves` |
    /// | `params` | `immediates` ([`IMMEDIATES`](wgpu::Features::IMMEDIATES)), `uniform`, or `bound` beside input and output (a [`Launch`](crate::launch::Launch)) |
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let is_copy = matches!(
            self.kernel,
            Kernel::Dropout {
                value: ValueMap::Copy,
                ..
            }
        );
        let name = match self.kernel {
            Kernel::Dropout { .. } if is_copy => "copy",
            Kernel::Dropout { .. } => "dropout",
            Kernel::Gaussian { .. } => "gaussian",
            Kernel::KeepMask(_) => "keep-mask",
            Kernel::PhiloxBlocks { .. } => "philox-blocks",
        };
        let mut fields = vec![("kernel", name.to_owned())];
        let mut push = |name, value: &str| fields.push((name, value.to_owned()));
        if let Kernel::Dropout { element, .. } = self.kernel {
            push("dtype", &element.to_string());
        }
        if let Kernel::Gaussian { .. } = self.kernel {
            push("dtype", &ElementType::F32.to_string());
        }
        if let Kernel::Dropout { buffers, .. } | Kernel::Gaussian { buffers } = self.kernel {
            let layout = match buffers {
                BufferLayout::Separate => "separate",
                BufferLayout::Pooled => "pooled",
                BufferLayout::InPlace => "in-place",
            };
            push("layout", layout);
        }
        match self.kernel.mask() {
            None => {}
            Some(MaskSource::Linear) => push("mask", "linear"),
            Some(MaskSource::Packed) => push("mask", "packed"),
            Some(MaskSource::Strided(strided)) => {
                let family = match strided.family {
                    Family::Rows => "rows",
                    Family::Runs => "runs",
                    Family::Scattered => "scattered",
                };
                let answer = |yes| if yes { "yes" } else { "no" };
                push("mask", family);
                push("dimensions", &strided.dimensions.to_string());
                push("whole-words", answer(strided.whole_words));
                push("sample-ids", answer(strided.sample_ids));
            }
        }
        if let Kernel::Dropout { value, access, .. } = self.kernel {
            match value {
                ValueMap::Scale => push("value", "scale"),
                ValueMap::Keep => push("value", "keep"),
                ValueMap::Affine => push("value", "affine"),
                ValueMap::Copy => {}
            }
            let access = match access {
                Access::Blocks => "blocks",
                Access::Vectors => "vectors",
                Access::Words => "words",
            };
            push("access", access);
        }
        if let Kernel::PhiloxBlocks { rounds } = self.kernel {
            push("rounds", &rounds.to_string());
        }
        if self.kernel.draws() {
            let multiply = match self.multiply {
                Multiply::U64 => "u64",
                Multiply::Halves => "halves",
            };
            push("multiply", multiply);
        }
        let params = match self.params {
            ParamsSource::Immediates => "immediates",
            ParamsSource::Uniform => "uniform",
            ParamsSource::Bound => "bound",
        };
        push("params", params);
        fields
    }
}

/// A buffer that a kernel binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffer {
    /// Of the variable in the text.
    pub name: &'static str,
    /// Of the bind group.
    pub group: u32,
    /// Within the group.
    pub binding: u32,
    /// Uniform, or how it is stored to.
    pub ty: wgpu::BufferBindingType,
}

/// Each kernel that can be dispatched; of copies, which differ by nothing but unused bindings, that
/// of consecutive indices.
fn kernels() -> impl Iterator<Item = Kernel> {
    const BUFFERS: [BufferLayout; 3] = [
        BufferLayout::Separate,
        BufferLayout::Pooled,
        BufferLayout::InPlace,
    ];
    const ELEMENTS: [ElementType; 3] = [ElementType::F32, ElementType::F16, ElementType::Bf16];
    let drawn = || iter::once(MaskSource::Linear).chain(strided().map(MaskSource::Strided));
    let masks = move || drawn().chain([MaskSource::Packed]);
    let dropout = move |(element, buffers)| {
        let values = move |mask| {
            [ValueMap::Scale, ValueMap::Keep, ValueMap::Affine].map(move |value| (mask, value))
        };
        // In place it is nothing.
        let copy = (buffers != BufferLayout::InPlace)
            .then_some((MaskSource::Linear, ValueMap::Copy))
            .into_iter();
        let kernels = masks().flat_map(values).chain(copy);
        kernels.flat_map(move |(mask, value)| {
            accesses(mask, value)
                .iter()
                .map(move |&access| Kernel::Dropout {
                    element,
                    buffers,
                    mask,
                    value,
                    access,
                })
        })
    };
    ELEMENTS
        .into_iter()
        .flat_map(|element| BUFFERS.map(|buffers| (element, buffers)))
        .flat_map(dropout)
        .chain(BUFFERS.map(|buffers| Kernel::Gaussian { buffers }))
        .chain(drawn().map(Kernel::KeepMask))
        .chain([10, 7].map(|rounds| Kernel::PhiloxBlocks { rounds }))
}

/// Whole blocks are taken where their elements are neighbours.
fn accesses(mask: MaskSource, value: ValueMap) -> &'static [Access] {
    const ALL: &[Access] = &[Access::Blocks, Access::Vectors, Access::Words];
    match mask {
        _ if value == ValueMap::Copy => &ALL[1..],
        MaskSource::Linear
        | MaskSource::Strided(Strided {
            family: Family::Rows,
            ..
        }) => ALL,
        MaskSource::Strided(_) | MaskSource::Packed => &ALL[1..],
    }
}

fn strided() -> impl Iterator<Item = Strided> {
    const MAX: u32 = MaskLayout::MAX_DIMENSIONS as u32;
    [Family::Rows, Family::Runs, Family::Scattered]
        .into_iter()
        .flat_map(|family| [false, true].map(|sample_ids| (family, sample_ids)))
        .flat_map(|(family, sample_ids)| {
            // A single row is linear; the ids' dimension is neither row nor run.
            let least = match family {
                Family::Rows => 2,
                Family::Runs => 1 + u32::from(sample_ids),
                Family::Scattered => 1,
            };
            (least..=MAX).flat_map(move |dimensions| {
                [true, false].map(|whole_words| Strided {
                    family,
                    whole_words,
                    dimensions,
                    sample_ids,
                })
            })
        })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;
    use crate::kernel::source::WORKGROUP_SIZE;
    use crate::plan::index_map::StridedLayout;

    fn validate(source: &str, capabilities: Capabilities) -> Result<naga::Module, String> {
        let module = naga::front::wgsl::parse_str(source).map_err(|error| error.to_string())?;
        Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|error| error.emit_to_string(source))?;
        Ok(module)
    }

    /// As the text declares them, by group and binding.
    fn buffers(module: &naga::Module) -> Vec<Buffer> {
        let buffer = |variable: &naga::GlobalVariable| {
            let ty = match variable.space {
                naga::AddressSpace::Uniform => wgpu::BufferBindingType::Uniform,
                naga::AddressSpace::Storage { access } => wgpu::BufferBindingType::Storage {
                    read_only: !access.contains(naga::StorageAccess::STORE),
                },
                _ => return None,
            };
            let place = variable.binding?;
            Some((place, variable.name.clone().unwrap(), ty))
        };
        let variables = module.global_variables.iter();
        let mut buffers: Vec<_> = variables.filter_map(|(_, v)| buffer(v)).collect();
        buffers.sort_by_key(|(place, ..)| (place.group, place.binding));
        buffers
            .into_iter()
            .map(|(place, name, ty)| Buffer {
                name: name.leak(),
                group: place.group,
                binding: place.binding,
                ty,
            })
            .collect()
    }

    /// Of the numbers of dimensions a small one and the largest.
    fn is_typical(variant: &Variant) -> bool {
        match variant.kernel.mask() {
            Some(MaskSource::Strided(strided)) => {
                [(2, false), (8, true)].contains(&(strided.dimensions, strided.whole_words))
            }
            _ => true,
        }
    }

    #[test]
    fn every_kernel_is_valid_and_asks_for_no_more_than_its_variant_says() {
        for variant in Variant::all().filter(is_typical) {
            let features = variant.features();
            let mut capabilities = Capabilities::empty();
            capabilities.set(
                Capabilities::IMMEDIATES,
                features.contains(wgpu::Features::IMMEDIATES),
            );
            capabilities.set(
                Capabilities::SHADER_INT64,
                features.contains(wgpu::Features::SHADER_INT64),
            );
            let module = validate(&variant.text(), capabilities).unwrap();
            let [entry] = &module.entry_points[..] else {
                panic!("one entry point")
            };
            assert_eq!(entry.name, variant.entry_point());
            assert_eq!(entry.workgroup_size, [WORKGROUP_SIZE, 1, 1]);
            assert_eq!(buffers(&module), variant.buffers(), "{variant:?}");
        }
    }

    #[test]
    fn a_capability_that_is_missing_is_seen() {
        let variant = Variant::all().next().unwrap();
        let all = Capabilities::IMMEDIATES | Capabilities::SHADER_INT64;
        assert!(validate(&variant.text(), all).is_ok());
        for missing in all {
            assert!(validate(&variant.text(), all - missing).is_err());
        }
    }

    #[test]
    fn variants_differ_in_fields_and_text() {
        let (mut fields, mut texts) = (HashSet::new(), HashSet::new());
        for variant in Variant::all() {
            assert!(fields.insert(variant.fields()), "{variant:?}");
            if is_typical(&variant) {
                assert!(texts.insert(variant.text()), "{variant:?}");
            }
        }
    }

    #[test]
    fn a_workgroup_takes_256_words_or_blocks() {
        for variant in Variant::all() {
            let elements = match variant.fields()[0].1.as_str() {
                "gaussian" => 4 * 256,
                "philox-blocks" => 256,
                _ => 32 * 256,
            };
            assert_eq!(variant.elements_per_workgroup(), elements, "{variant:?}");
        }
    }

    #[test]
    fn copies_and_packed_masks_draw_nothing() {
        for variant in Variant::all().filter(is_typical) {
            let fields = variant.fields();
            let has = |name, value: &str| fields.contains(&(name, value.to_owned()));
            let draws = !has("kernel", "copy") && !has("mask", "packed");
            assert_eq!(variant.text().contains("fn philox"), draws, "{variant:?}");
        }
    }

    #[test]
    fn copies_of_all_masks_are_one_text() {
        let copy = |mask| Kernel::Dropout {
            element: ElementType::F32,
            buffers: BufferLayout::Separate,
            mask,
            value: ValueMap::Copy,
            access: Access::Vectors,
        };
        let text = |mask| assemble(copy(mask), Multiply::Halves, ParamsSource::Uniform);
        let linear = text(MaskSource::Linear);
        for mask in strided().map(MaskSource::Strided) {
            assert_eq!(text(mask), linear);
            assert_eq!(text(mask.of_copy()), linear);
        }
        assert_eq!(text(MaskSource::Packed), linear);
    }

    #[test]
    fn what_layouts_choose_is_listed() {
        let known: HashSet<_> = strided().collect();
        let mut chosen = HashSet::new();
        for inner in [1, 8, 31, 32, 33] {
            for strides in [[5000, 50, 0], [5000, 50, 1], [8000, 80, 3], [0, 50, 0]] {
                for dimensions in 1..=3 {
                    let shape = &[5, 7, inner][3 - dimensions..];
                    let layout = MaskLayout::strided(shape, &strides[3 - dimensions..]).unwrap();
                    for sample_ids in [false, true] {
                        let layout = StridedLayout::new(&layout, sample_ids).unwrap();
                        chosen.extend(layout.iter().flat_map(|layout| {
                            [
                                layout.strided(false),
                                layout.strided(layout.whole_blocks(0)),
                            ]
                        }));
                    }
                }
            }
        }
        assert!(chosen.is_subset(&known), "{:?}", &chosen - &known);
        let least = |kernels: &HashSet<Strided>, family, sample_ids| {
            let of_these = kernels
                .iter()
                .filter(|strided| strided.family == family && strided.sample_ids == sample_ids);
            of_these.map(|strided| strided.dimensions).min()
        };
        for family in [Family::Rows, Family::Runs, Family::Scattered] {
            for sample_ids in [false, true] {
                assert_eq!(
                    least(&known, family, sample_ids),
                    least(&chosen, family, sample_ids),
                    "{family:?} {sample_ids}"
                );
            }
        }
    }
}
