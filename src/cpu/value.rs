//! Values of elements, a group of them at a time, as in shaders/value/*.wgsl and
//! shaders/element/*.wgsl.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::mask::Keep;
use crate::contract::element::{Element, ElementType};

/// Elements of a group. As words of 32 bits, two in a word if they have 16 bits, a group fills two
/// or four vectors.
pub(super) const GROUP: usize = 32;

/// Conversions of f16, exact to f32 and rounded to nearest even to f16. A processor's instructions
/// for them, inside the loop, double the speed.
#[derive(Clone, Copy)]
pub(super) struct F16<Widen, Narrow> {
    pub widen: Widen,
    pub narrow: Narrow,
}

/// The conversions for any processor.
pub(super) fn portable() -> F16<impl Fn(Halves) -> Wide + Copy, impl Fn(Wide) -> Halves + Copy> {
    F16 {
        widen: |halves: Halves| {
            let mut wide = [0.0; GROUP];
            halves.convert_to_f32_slice(&mut wide);
            wide
        },
        narrow: |wide: Wide| {
            let mut halves = [f16::ZERO; GROUP];
            halves.convert_from_f32_slice(&wide);
            halves
        },
    }
}

pub(super) type Halves = [f16; GROUP];
pub(super) type Wide = [f32; GROUP];

/// Replaces each element by `map` of it, computed in f32 and rounded to the element's type \[M11\].
#[inline(always)]
pub(super) fn map_f32<T: Element>(
    x: [T; GROUP],
    map: impl Fn(f32) -> f32,
    f16: F16<impl Fn(Halves) -> Wide, impl Fn(Wide) -> Halves>,
) -> [T; GROUP] {
    match T::TYPE {
        ElementType::F32 => bytemuck::cast(map_each(bytemuck::cast(x), map)),
        ElementType::F16 => {
            let wide = (f16.widen)(bytemuck::cast(x));
            bytemuck::cast((f16.narrow)(map_each(wide, map)))
        }
        ElementType::Bf16 => bytemuck::cast(map_bf16(bytemuck::cast(x), map)),
    }
}

#[inline(always)]
fn map_each(mut x: Wide, map: impl Fn(f32) -> f32) -> Wide {
    for x in &mut x {
        *x = map(*x);
    }
    x
}

/// `map` of two bfloat16 in a word, each the upper half of a binary32, so that no vector lane
/// moves.
#[inline(always)]
fn map_bf16(mut pairs: [u32; GROUP / 2], map: impl Fn(f32) -> f32) -> [u32; GROUP / 2] {
    const UPPER: u32 = 0xFFFF_0000;
    let rounded = |x: u32| {
        let y = map(f32::from_bits(x));
        let bits = y.to_bits();
        // On wasm32 any bit of a NaN may be set. Elsewhere a NaN is x's or the preferred one. Its
        // lower half is 0, so that nothing is carried and it stays a NaN.
        if cfg!(target_arch = "wasm32") && y.is_nan() {
            return f32::NAN.to_bits();
        }
        bits.wrapping_add(0x7FFF + (bits >> 16 & 1))
    };
    for pair in &mut pairs {
        *pair = rounded(*pair << 16) >> 16 | rounded(*pair & UPPER) & UPPER;
    }
    pairs
}

/// The elements that are kept, and `otherwise` in the place of others, by their bits \[M12\].
#[inline(always)]
pub(super) fn choose<T: Element>(x: [T; GROUP], keep: [Keep; GROUP], otherwise: T) -> [T; GROUP] {
    if T::TYPE == ElementType::F32 {
        let (mut x, otherwise): ([u32; GROUP], u32) =
            (bytemuck::cast(x), bytemuck::cast(otherwise));
        for (x, keep) in x.iter_mut().zip(keep) {
            let keep = i32::from(keep) as u32;
            *x = *x & keep | otherwise & !keep;
        }
        bytemuck::cast(x)
    } else {
        let (mut x, otherwise): ([u16; GROUP], u16) =
            (bytemuck::cast(x), bytemuck::cast(otherwise));
        for (x, keep) in x.iter_mut().zip(keep) {
            *x = *x & keep as u16 | otherwise & !(keep as u16);
        }
        bytemuck::cast(x)
    }
}
