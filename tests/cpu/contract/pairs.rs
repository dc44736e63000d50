//! f16 and bf16 on the CPU path: the masks are those of f32, the values are rounded twice [M11].

use wgpu_dropout::cpu::apply;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{DropoutCall, Element, ElementType, MaskLayout, MaskSource};

use super::ways::{both_ways, mismatch};
use crate::common::inputs::{
    KINDS, LENGTHS, RATES, call, indices, kind_call, layout_indices, origins, sample_indices,
};
use crate::common::kinds::{self, Direction};
use crate::common::reference::{self, BF16, F16, Format};

/// An element type and its format in the reference.
pub trait HasFormat: Element {
    const FORMAT: Format;
}

impl HasFormat for f16 {
    const FORMAT: Format = F16;
}

impl HasFormat for bf16 {
    const FORMAT: Format = BF16;
}

/// Every bit pattern of 16 bits.
fn all() -> Vec<u16> {
    (0..=u16::MAX).collect()
}

/// `len` of many different bit patterns.
fn values(len: u64) -> Vec<u16> {
    (0..len).map(|i| (i * 40_503) as u16).collect()
}

/// Compares both directions, with an output and in place, with the reference.
fn check<'a, T: HasFormat>(
    call: &DropoutCall,
    source: impl Into<MaskSource<'a>>,
    kept: &[bool],
    x: &[u16],
) -> Result<(), String> {
    let source = source.into();
    for &direction in Direction::ALL {
        for y in both_ways::<T>(direction, source, bytemuck::cast_slice(x), call)? {
            let y = bytemuck::cast_slice(&y);
            kinds::check_pairs(T::FORMAT, call, direction, kept, x, y)?;
        }
    }
    Ok(())
}

/// Compares elements with consecutive mask indices.
fn check_linear<T: HasFormat>(call: &DropoutCall, x: &[u16]) -> Result<(), String> {
    let kept = kinds::kept(call, indices(call, x.len() as u64));
    check::<T>(call, x.len(), &kept, x)
}

fn check_both(call: &DropoutCall, x: &[u16]) {
    check_linear::<f16>(call, x).unwrap();
    check_linear::<bf16>(call, x).unwrap();
}

#[test]
fn lengths_and_origins() {
    for len in LENGTHS.into_iter().chain([511, 512, 513, 100_003]) {
        for origin in origins(len) {
            check_both(&call(0.3, origin), &values(len));
        }
    }
}

#[test]
fn rates_and_kinds() {
    for p in RATES {
        for kind in KINDS {
            check_both(&kind_call(p, 5, kind), &all());
        }
    }
}

/// A mask that keeps each of the 2^16 elements of a 16-bit type.
const KEEP_ALL: MaskSource<'_> = MaskSource::Packed {
    mask: &[u32::MAX; 1 << 11],
    len: 1 << 16,
};

/// 0.4 is one of the rates at which rounding once and rounding twice differ.
#[test]
fn every_element_kept() {
    fn check_type<T: HasFormat>(call: &DropoutCall) {
        let kept = vec![true; 1 << 16];
        check::<T>(call, KEEP_ALL, &kept, &all()).unwrap();
    }
    /// Compares every bit. Subnormals count too, which only a device may flush.
    fn exactly<T: HasFormat>(call: &DropoutCall) {
        let x = all();
        let input = bytemuck::cast_slice::<_, T>(&x);
        let keep_scale = reference::keep_scale(call.rate.p());
        for output in both_ways(Direction::Forward, KEEP_ALL, input, call).unwrap() {
            for (&x, &y) in x.iter().zip(bytemuck::cast_slice(&output)) {
                let product = T::FORMAT.number(x) * keep_scale;
                let expected = T::FORMAT.nearest(product.into());
                assert!(y == expected || product.is_nan() && T::FORMAT.number(y).is_nan());
            }
        }
    }
    for p in [0.0, 0.1, 0.3, 0.4, 0.5, 0.9, 0.999] {
        exactly::<f16>(&call(p, 0));
        exactly::<bf16>(&call(p, 0));
        for kind in KINDS {
            check_type::<f16>(&kind_call(p, 0, kind));
            check_type::<bf16>(&kind_call(p, 0, kind));
        }
    }
}

#[test]
fn layouts_and_samples() {
    fn check_type<T: HasFormat>(call: &DropoutCall, layout: &MaskLayout) {
        let x = values(layout.len());
        let kept = kinds::kept(call, layout_indices(call, layout));
        check::<T>(call, layout, &kept, &x).unwrap();
        let ids = &[7, 0, u32::MAX];
        let kept = kinds::kept(call, sample_indices(call, layout, ids));
        let samples = MaskSource::Samples { layout, ids };
        check::<T>(call, samples, &kept, &x).unwrap();
    }
    for layout in [
        MaskLayout::elementwise(&[3, 24_001]),
        MaskLayout::feature_channels_first(&[3, 5, 7]),
        MaskLayout::drop_path(&[3, 33]),
    ] {
        let layout = layout.unwrap();
        for kind in KINDS {
            check_type::<f16>(&kind_call(0.4, 5, kind), &layout);
            check_type::<bf16>(&kind_call(0.4, 5, kind), &layout);
        }
    }
}

#[test]
fn lengths_that_differ_write_nothing() {
    let (x, mut y) = ([f16::ONE; 3], [bf16::ONE; 4]);
    let error = Err(mismatch(3, 4));
    let (call, direction) = (call(0.5, 0), Direction::Forward);
    let (narrow, brain) = (&mut [f16::ONE; 4][..], &[bf16::ONE; 3][..]);
    assert_eq!(apply(direction, 3u64, (&x[..], narrow), &call), error);
    assert_eq!(apply(direction, 3u64, (brain, &mut y[..]), &call), error);
    assert_eq!(y, [bf16::ONE; 4]);
}

#[test]
fn conversions() {
    for bits in all() {
        let (narrow, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
        for (number, wide) in [
            (F16.number(bits), Element::to_f32(narrow)),
            (BF16.number(bits), Element::to_f32(brain)),
        ] {
            assert!(wide == number || wide.is_nan() && number.is_nan());
        }
    }
    assert_eq!(Element::to_f32(0.1_f32), 0.1);
    assert_eq!(<f32 as Element>::from_f32(0.1), 0.1);
    let types = [f32::TYPE, f16::TYPE, bf16::TYPE];
    assert_eq!(types.map(ElementType::bytes), [4, 2, 2]);
    assert_eq!(types.map(|t| t.to_string()), ["f32", "f16", "bf16"]);
}
