//! Parameters of dispatches: the structs of the shaders, byte for byte.

use bytemuck::{Pod, Zeroable};

use crate::contract::call::DropoutCall;
use crate::contract::dropout_mask::DropoutMask;
use crate::contract::layout::{Dimension, MaskLayout};
use crate::contract::mask::{MaskPosition, split};

/// Has the layout of `Params` in shaders/params/mask.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct MaskParams {
    pub(super) mask: DropoutMask,
    pub len: u32,
    pub first_word: u32,
    pub first_block: [u32; 2],
}

impl MaskParams {
    /// The parameters for `len` elements, the first of which has mask index `first_index`.
    pub fn new(call: &DropoutCall, first_index: u64, len: u32) -> Self {
        Self {
            mask: DropoutMask::new(call, first_index),
            len,
            first_word: 0,
            first_block: split(MaskPosition::of(first_index).block),
        }
    }

    /// The bytes of these parameters and of `dimensions` behind them. Each number has 8 bytes, the
    /// lower 32 bits first. Together they have the layout of `Params` in shaders/params/bound.wgsl.
    pub fn bound(self, dimensions: Option<&[DimensionParams; MAX_DIMENSIONS]>) -> Vec<u64> {
        let mut words = bytemuck::cast::<_, [u64; size_of::<Self>() / 8]>(self).to_vec();
        if let Some(dimensions) = dimensions {
            // The cast is by value, since structs of `u32` need not be aligned to 8 bytes.
            words.extend(bytemuck::cast::<
                _,
                [u64; MAX_DIMENSIONS * size_of::<DimensionParams>() / 8],
            >(*dimensions));
        }
        words
    }
}

/// Has the layout of `Params` in shaders/params/vectors.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct VectorParams {
    pub mask: MaskParams,
    pub bias_len: u32,
    pub bias_start: u32,
    pub scale_len: u32,
    pub scale_start: u32,
}

/// Has the layout of `Params` in shaders/params/columns.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ColumnParams {
    pub mask: MaskParams,
    pub columns: u32,
    pub rows: u32,
    pub first_tile: u32,
    pub tiles: u32,
    pub bias_len: u32,
    pub bias_start: u32,
    pub accumulate: u32,
    pub padding: u32,
}

/// Has the layout of `Params` in shaders/params/activated.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ActivatedParams {
    pub mask: MaskParams,
    pub bias_len: u32,
    pub bias_start: u32,
    pub columns: u32,
    pub mode: u32,
}

/// Has the layout of `Params` in shaders/params/norm.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct NormParams {
    pub mask: MaskParams,
    pub columns: u32,
    pub reciprocal: f32,
    pub epsilon: f32,
    pub lanes: u32,
    pub mode: u32,
    pub first_row: u32,
    pub bias_len: u32,
    pub bias_start: u32,
}

/// Has the layout of `Params` in shaders/params/softmax.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SoftmaxParams {
    pub mask: MaskParams,
    pub columns: u32,
    pub lanes: u32,
    pub mode: u32,
    pub factor: f32,
    pub score_limit: f32,
    pub period_rows: u32,
    pub first_row: u32,
    pub offset: i32,
}

/// Has the layout of `Params` in shaders/params/blocks.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct BlockParams {
    pub counter: [u32; 4],
    pub key: [u32; 2],
    pub len: u32,
    pub padding: u32,
}

/// Has the layout of `Dimension` in shaders/index/strided.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct DimensionParams {
    pub size: u32,
    pub start: u32,
    pub stride: [u32; 2],
    pub multiplier: u32,
    pub shift: u32,
    pub padding: [u32; 2],
}

/// Number of dimensions that are passed to a kernel, the outermost first.
pub(crate) const MAX_DIMENSIONS: usize = MaskLayout::MAX_DIMENSIONS;

/// Size of a strided layout's uniform buffer.
#[cfg(feature = "wgpu")]
pub(crate) const DIMENSIONS_BYTES: u64 = (MAX_DIMENSIONS * size_of::<DimensionParams>()) as u64;

impl DimensionParams {
    /// `dimension` of a dispatch whose first element has coordinate `start`. Both are below 2^31.
    pub fn new(dimension: Dimension, start: u64) -> Self {
        // 2^(shift - 1) < size <= 2^shift, so that the multiplier has 32 bits.
        let shift = dimension.size.next_power_of_two().ilog2();
        let multiplier = (1u64 << (31 + shift)).div_ceil(dimension.size);
        Self {
            size: dimension.size as u32,
            start: start as u32,
            stride: split(dimension.stride),
            multiplier: multiplier as u32,
            shift,
            padding: [0; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;
    use crate::contract::activation::Activation;
    use crate::contract::effect::Effect;
    use crate::contract::element::ElementType;
    use crate::kernel::activated::{Activated, Decide, Form};
    use crate::kernel::axes::{
        Access, BlockAccess, BufferLayout, F16Conversion, Family, IndexKind, Kernel, Multiply,
        Neighbours, ParamsSource, Strided, Way,
    };
    use crate::kernel::softmaxed::{SoftmaxForm, Softmaxed};
    use crate::kernel::text::assemble;

    /// Names and offsets of the WGSL struct `name`, and its size in bytes.
    fn wgsl_struct(source: &str, name: &str) -> (Vec<(String, usize)>, usize) {
        let module = naga::front::wgsl::parse_str(source).unwrap();
        let (_, ty) = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some(name))
            .unwrap();
        let naga::TypeInner::Struct { members, span } = &ty.inner else {
            panic!("{name} is a struct");
        };
        let offsets = members
            .iter()
            .map(|member| (member.name.clone().unwrap(), member.offset as usize))
            .collect();
        (offsets, *span as usize)
    }

    macro_rules! offsets {
        ($ty:ident: $($field:ident),+) => {
            vec![$((stringify!($field).to_owned(), offset_of!($ty, $field))),+]
        };
    }

    fn text(kernel: Kernel, params: ParamsSource) -> String {
        let multiply = Multiply::Halves;
        let blocks = BlockAccess::Vectors;
        let f16 = F16Conversion::Integers;
        assemble(
            kernel,
            Way {
                multiply,
                params,
                blocks,
                f16,
            },
        )
    }

    fn strided(family: Family, dimensions: u32) -> IndexKind {
        IndexKind::Strided(Strided {
            family,
            dimensions,
            sample_ids: false,
        })
    }

    #[test]
    fn mask_params_lie_as_in_the_shader() {
        let text = text(Kernel::KeepMask(IndexKind::Linear), ParamsSource::Uniform);
        let (offsets, bytes) = wgsl_struct(&text, "Params");
        assert_eq!(
            offsets,
            offsets!(MaskParams: mask, len, first_word, first_block)
        );
        assert_eq!(bytes, size_of::<MaskParams>());
        // Kernels that are recorded by hand take as many bytes, so that the times of recording can
        // be compared: see tests/cpu/validation/recording.rs and cli/src/bench/recording.rs.
        // Browsers offer this many bytes.
        assert_eq!(bytes, 64);
        let (offsets, bytes) = wgsl_struct(&text, "DropoutMask");
        assert_eq!(
            offsets,
            offsets!(DropoutMask: seed_low, seed_high, stream_low, stream_high, first_index_low,
                first_index_high, threshold_high, threshold_low, keep_scale, keep_shift,
                dropped_value, sigma)
        );
        assert_eq!(bytes, size_of::<DropoutMask>());
    }

    #[test]
    fn bound_params_have_the_dimensions_behind_them() {
        let kernel = Kernel::Dropout {
            element: ElementType::F32,
            buffers: BufferLayout::Pooled,
            mask: strided(Family::Rows { whole_words: false }, 2),
            neighbours: Neighbours::None,
            effect: Effect::Scale,
            access: Access::Words,
        };
        let (offsets, bytes) = wgsl_struct(&text(kernel, ParamsSource::Bound), "Params");
        let mut expected = offsets!(MaskParams: mask, len, first_word, first_block);
        expected.push((String::from("dimensions"), size_of::<MaskParams>()));
        assert_eq!(offsets, expected);
        let dimension = Dimension { size: 7, stride: 9 };
        let dimensions = [DimensionParams::new(dimension, 5); MAX_DIMENSIONS];
        let words = MaskParams::zeroed().bound(Some(&dimensions));
        assert_eq!(bytes, 8 * words.len());
        assert_eq!(words[8..], bytemuck::cast::<_, [u64; 32]>(dimensions));
        assert_eq!(MaskParams::zeroed().bound(None).len(), 8);
    }

    #[test]
    fn vector_params_lie_as_in_the_shader() {
        let kernel = Kernel::Dropout {
            element: ElementType::F32,
            buffers: BufferLayout::Pooled,
            mask: IndexKind::Linear,
            neighbours: Neighbours::Add {
                vectors: true,
                wide: false,
            },
            effect: Effect::Scale,
            access: Access::Words,
        };
        let (offsets, bytes) = wgsl_struct(&text(kernel, ParamsSource::Uniform), "Params");
        let mut expected = offsets!(MaskParams: mask, len, first_word, first_block);
        expected.extend(offsets!(VectorParams: bias_len, bias_start, scale_len, scale_start));
        assert_eq!(offsets, expected);
        assert_eq!(offset_of!(VectorParams, mask), 0);
        assert_eq!(bytes, size_of::<VectorParams>());
    }

    #[test]
    fn column_params_lie_as_in_the_shader() {
        let text = text(Kernel::ColumnTotals, ParamsSource::Uniform);
        let (offsets, bytes) = wgsl_struct(&text, "Params");
        let mut expected = offsets!(MaskParams: mask, len, first_word, first_block);
        expected.extend(
            offsets!(ColumnParams: columns, rows, first_tile, tiles, bias_len, bias_start, accumulate, padding),
        );
        assert_eq!(offsets, expected);
        assert_eq!(offset_of!(ColumnParams, mask), 0);
        assert_eq!(bytes, size_of::<ColumnParams>());
    }

    #[test]
    fn activated_params_lie_as_in_the_shader() {
        let kernel = Kernel::Activated(Activated {
            activation: Activation::Relu,
            element: ElementType::F32,
            form: Form::Forward,
            decide: Decide::Linear,
        });
        let (offsets, bytes) = wgsl_struct(&text(kernel, ParamsSource::Uniform), "Params");
        let mut expected = offsets!(MaskParams: mask, len, first_word, first_block);
        expected.extend(offsets!(ActivatedParams: bias_len, bias_start, columns, mode));
        assert_eq!(offsets, expected);
        assert_eq!(offset_of!(ActivatedParams, mask), 0);
        assert_eq!(bytes, size_of::<ActivatedParams>());
    }

    #[test]
    fn norm_params_lie_as_in_the_shader() {
        let kernel = Kernel::NormMoments(ElementType::F32);
        let (offsets, bytes) = wgsl_struct(&text(kernel, ParamsSource::Uniform), "Params");
        let mut expected = offsets!(MaskParams: mask, len, first_word, first_block);
        expected.extend(
            offsets!(NormParams: columns, reciprocal, epsilon, lanes, mode, first_row, bias_len, bias_start),
        );
        assert_eq!(offsets, expected);
        assert_eq!(offset_of!(NormParams, mask), 0);
        assert_eq!(bytes, size_of::<NormParams>());
    }

    #[test]
    fn softmax_params_lie_as_in_the_shader() {
        let kernel = Kernel::Softmaxed(Softmaxed {
            element: ElementType::F32,
            form: SoftmaxForm::Forward,
            decide: Decide::Linear,
        });
        let (offsets, bytes) = wgsl_struct(&text(kernel, ParamsSource::Uniform), "Params");
        let mut expected = offsets!(MaskParams: mask, len, first_word, first_block);
        expected.extend(
            offsets!(SoftmaxParams: columns, lanes, mode, factor, score_limit, period_rows, first_row, offset),
        );
        assert_eq!(offsets, expected);
        assert_eq!(offset_of!(SoftmaxParams, mask), 0);
        assert_eq!(bytes, size_of::<SoftmaxParams>());
    }

    #[test]
    fn block_params_lie_as_in_the_shader() {
        let kernel = Kernel::PhiloxBlocks { rounds: 10 };
        let (offsets, bytes) = wgsl_struct(&text(kernel, ParamsSource::Uniform), "Params");
        assert_eq!(offsets, offsets!(BlockParams: counter, key, len, padding));
        assert_eq!(bytes, size_of::<BlockParams>());
    }

    #[test]
    fn dimensions_lie_as_in_the_shader() {
        let kernel = Kernel::KeepMask(strided(Family::Scattered, 8));
        let text = text(kernel, ParamsSource::Uniform);
        let (offsets, bytes) = wgsl_struct(&text, "Dimension");
        assert_eq!(
            offsets,
            offsets!(DimensionParams: size, start, stride, multiplier, shift, padding)
        );
        assert_eq!(bytes, size_of::<DimensionParams>());
        assert!(text.contains(&format!("array<Dimension, {MAX_DIMENSIONS}>")));
    }

    /// The shader's `divide` with the same multiplier and shift.
    fn divide(n: u64, size: u64) -> u64 {
        let dimension = DimensionParams::new(Dimension { size, stride: 0 }, 0);
        ((n * u64::from(dimension.multiplier)) as u128 >> 31) as u64 >> dimension.shift
    }

    #[test]
    fn division_by_a_multiplier_is_exact_for_every_position_of_a_dispatch() {
        let largest = (1u64 << 31) - 1;
        let near_powers = (0..31).flat_map(|power| {
            let power = 1u64 << power;
            [power.saturating_sub(1).max(1), power, power + 1]
        });
        // A position is a coordinate below the size, plus at most one dispatch's elements.
        let steps = 1u64 << 26;
        for size in near_powers.chain(1..300).chain(largest - 300..=largest) {
            for multiple in [0, 1, 2, 3, (size + steps) / size] {
                for n in (multiple * size).saturating_sub(2)..multiple * size + 2 {
                    if n < size + steps {
                        assert_eq!(divide(n, size), n / size, "{n} / {size}");
                    }
                }
            }
            for n in [0, 1, steps - 1, steps, size - 1, size + steps - 1] {
                if n < size + steps {
                    assert_eq!(divide(n, size), n / size, "{n} / {size}");
                }
            }
        }
    }

    #[test]
    fn products_of_a_division_fit_64_bits() {
        let largest = (1u64 << 31) - 1;
        for size in [1, 2, 3, 5, (1 << 30) + 1, largest - (1 << 26), largest] {
            let multiplier = DimensionParams::new(Dimension { size, stride: 0 }, 0).multiplier;
            let position = size - 1 + (1 << 26);
            let quotient = (u128::from(position) * u128::from(multiplier)) >> 31;
            assert!(quotient <= u128::from(u32::MAX), "{size}");
        }
    }
}
