//! Elements as the bits of `u32` words: one of 32 bits, or two of 16, the first in the lower half.
//!
//! No 16-bit type is needed. Rounding is done on bits as the contract says, since the conversions
//! of SPIR-V and WGSL may round in either direction.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::ElementType;

/// The number in each lane, whose bits are the lower 32 or 16 of the lane.
#[cube]
pub(crate) fn decode<N: Size>(
    bits: Vector<u32, N>,
    #[comptime] element: ElementType,
) -> Vector<f32, N> {
    if comptime!(element == ElementType::F32) {
        float(bits)
    } else if comptime!(element == ElementType::Bf16) {
        float(bits << Vector::new(16u32))
    } else {
        decode_f16(bits)
    }
}

/// The bits of a number, rounded to nearest even \[M11\]. An overflow becomes infinity, and a NaN
/// stays a NaN.
#[cube]
pub(crate) fn encode<N: Size>(
    number: Vector<f32, N>,
    #[comptime] element: ElementType,
) -> Vector<u32, N> {
    if comptime!(element == ElementType::F32) {
        bits_of(number)
    } else if comptime!(element == ElementType::Bf16) {
        encode_bf16(bits_of(number))
    } else {
        encode_f16(bits_of(number))
    }
}

#[cube]
pub(crate) fn float<N: Size>(bits: Vector<u32, N>) -> Vector<f32, N> {
    Vector::<f32, N>::reinterpret(bits)
}

#[cube]
pub(crate) fn bits_of<N: Size>(number: Vector<f32, N>) -> Vector<u32, N> {
    Vector::<u32, N>::reinterpret(number)
}

#[cube]
fn encode_bf16<N: Size>(bits: Vector<u32, N>) -> Vector<u32, N> {
    let last = (bits >> Vector::new(16u32)) & Vector::new(1u32);
    let rounded = bits + Vector::new(0x7FFFu32) + last;
    let magnitude = bits & Vector::new(0x7FFF_FFFFu32);
    let nan = magnitude.greater_than(&Vector::new(0x7F80_0000u32));
    select_many(nan, bits | Vector::new(0x40_0000u32), rounded) >> Vector::new(16u32)
}

#[cube]
fn decode_f16<N: Size>(bits: Vector<u32, N>) -> Vector<f32, N> {
    let sign = (bits & Vector::new(0x8000u32)) << Vector::new(16u32);
    let magnitude = bits & Vector::new(0x7FFFu32);
    let shifted = magnitude << Vector::new(13u32);
    // The exponent's bias changes from 15 to 127. The largest exponent, that of infinity and NaN,
    // becomes f32's.
    let biased = shifted + Vector::new(comptime!(112u32 << 23));
    let special = shifted + Vector::new(comptime!(224u32 << 23));
    // `biased` turns a subnormal m 2^-24 into b = 2^-15 (1 + m 2^-10), whose right value is
    // 2 b - 2^-14. For normal numbers 2 b - 2^-14 is not smaller than b, so the smaller one is
    // right.
    let unbiased = float(biased) * Vector::new(2.0f32) - Vector::new(6.103_515_6e-5f32);
    let unbiased = bits_of(unbiased);
    let finite = select_many(unbiased.less_than(&biased), unbiased, biased);
    let is_special = magnitude.greater_equal(&Vector::new(0x7C00u32));
    float(sign | select_many(is_special, special, finite))
}

#[cube]
fn encode_f16<N: Size>(bits: Vector<u32, N>) -> Vector<u32, N> {
    let sign = (bits >> Vector::new(16u32)) & Vector::new(0x8000u32);
    let magnitude = bits & Vector::new(0x7FFF_FFFFu32);
    // 2^16 and more become infinity: as an f16, 2^16 would have infinity's bits.
    let most = Vector::new(comptime!(143u32 << 23));
    let capped = select_many(magnitude.less_than(&most), magnitude, most);
    // `power` is the number's power of two, or 2^-14 if that is larger. In 2^13 times this power,
    // f32's last bit counts as much as f16's last bit in the number. A sum with it is therefore
    // rounded to f16's last bit.
    let power = capped & Vector::new(0x7F80_0000u32);
    let least = Vector::new(comptime!(113u32 << 23));
    let power = select_many(power.greater_than(&least), power, least);
    let sum = bits_of(float(power) * Vector::new(8192.0f32) + float(capped));
    // The leading 1 of the significand is in `power` too, and adds one to the exponent.
    let bias = Vector::new(comptime!((113u32 << 10) + (13u32 << 23)));
    let finite = (power >> Vector::new(13u32)) + (sum - power) - bias;
    let nan = magnitude.greater_than(&Vector::new(0x7F80_0000u32));
    sign | select_many(nan, Vector::new(0x7E00u32), finite)
}
