//! Dropout fused with element-wise operations.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::{Activation, ElementType};

use super::activation::{activate, differentiate};
use super::dropout::{WORKGROUP_SIZE, lanes};
use super::groups::{Draw, GROUP, keep_groups, rounded};
use super::mask::Mask;

/// The formula of one output element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// `second + dropout(first + bias)`.
    Add,
    /// `dropout(activation(first + bias))`.
    Act(Activation),
    /// The gradient of `first`, from `second`.
    ActGradient(Activation),
    /// `dropout(activation(first) * second)`.
    Gated(Activation),
}

/// The options that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub operation: Operation,
    pub element: ElementType,
    pub has_bias: bool,
    pub draw: Draw,
}

/// Buffers are loaded N elements at a time. `len` is the number of loads, and `columns` the number
/// of loads in a row.
#[cube(launch_unchecked)]
pub(crate) fn beside<T: Float, N: Size>(
    first: &[Vector<T, N>],
    second: &[Vector<T, N>],
    bias: &[Vector<T, N>],
    output: &mut [Vector<T, N>],
    mask: &Mask,
    len: u32,
    columns: u32,
    #[comptime] variant: Variant,
    #[define(T)] _dtype: ElemType,
) {
    let width = N::value();
    let vectors = comptime!(GROUP / width as u32);
    let a = first_group();
    let keep = keep_of_groups(mask, a, variant.draw);
    for g in 0..4u32 {
        let group = a + g * WORKGROUP_SIZE;
        #[unroll]
        for v in 0..vectors {
            let i = group * vectors + v;
            if i < len {
                let x = Vector::<f32, N>::cast_from(first[i as usize]);
                let x = if comptime!(variant.has_bias) {
                    x + Vector::<f32, N>::cast_from(bias[(i % columns) as usize])
                } else {
                    x
                };
                let shift = 8u32 * g + comptime!(v * width as u32);
                let keep = lanes::<N>(keep >> shift, 1u32);
                let other = second[i as usize];
                output[i as usize] = value(x, other, mask, keep, variant);
            }
        }
    }
}

/// The first of an invocation's four groups. They are WORKGROUP_SIZE groups apart, so that
/// neighbouring invocations load neighbouring memory.
#[cube]
fn first_group() -> u32 {
    4u32 * WORKGROUP_SIZE * (CUBE_POS as u32) + UNIT_POS
}

#[cube]
fn keep_of_groups(mask: &Mask, first: u32, #[comptime] draw: Draw) -> u32 {
    let step = GROUP * WORKGROUP_SIZE;
    let a = first * GROUP;
    keep_groups(mask, a, a + step, a + 2u32 * step, a + 3u32 * step, draw)
}

#[cube]
fn value<T: Float, N: Size>(
    x: Vector<f32, N>,
    second: Vector<T, N>,
    mask: &Mask,
    keep: Vector<bool, N>,
    #[comptime] variant: Variant,
) -> Vector<T, N> {
    let scale = Vector::new(mask.keep_scale);
    let other = Vector::<f32, N>::cast_from(second);
    let zero = Vector::<T, N>::new(T::from_int(0));
    #[comptime]
    match variant.operation {
        Operation::Add => {
            let sum = rounded(other + x * scale, variant.element);
            select_many(keep, Vector::cast_from(sum), second)
        }
        Operation::Act(activation) => {
            let kept = rounded(activate(x, activation) * scale, variant.element);
            select_many(keep, Vector::cast_from(kept), zero)
        }
        Operation::ActGradient(activation) => {
            let kept = rounded(
                other * scale * differentiate(x, activation),
                variant.element,
            );
            select_many(keep, Vector::cast_from(kept), zero)
        }
        Operation::Gated(activation) => {
            let kept = rounded(activate(x, activation) * other * scale, variant.element);
            select_many(keep, Vector::cast_from(kept), zero)
        }
    }
}

/// The gradients of a gate and its other factor.
#[cube(launch_unchecked)]
pub(crate) fn gated_gradient<T: Float, N: Size>(
    grad: &[Vector<T, N>],
    gate: &[Vector<T, N>],
    up: &[Vector<T, N>],
    grad_gate: &mut [Vector<T, N>],
    grad_up: &mut [Vector<T, N>],
    mask: &Mask,
    len: u32,
    #[comptime] activation: Activation,
    #[comptime] element: ElementType,
    #[comptime] draw: Draw,
    #[define(T)] _dtype: ElemType,
) {
    let width = N::value();
    let vectors = comptime!(GROUP / width as u32);
    let a = first_group();
    let keep = keep_of_groups(mask, a, draw);
    let zero = Vector::<T, N>::new(T::from_int(0));
    for g in 0..4u32 {
        let group = a + g * WORKGROUP_SIZE;
        #[unroll]
        for v in 0..vectors {
            let i = group * vectors + v;
            if i < len {
                let shift = 8u32 * g + comptime!(v * width as u32);
                let keep = lanes::<N>(keep >> shift, 1u32);
                let d =
                    Vector::<f32, N>::cast_from(grad[i as usize]) * Vector::new(mask.keep_scale);
                let x = Vector::<f32, N>::cast_from(gate[i as usize]);
                let factor = Vector::<f32, N>::cast_from(up[i as usize]);
                let of_gate = rounded(d * factor * differentiate(x, activation), element);
                let of_up = rounded(d * activate(x, activation), element);
                grad_gate[i as usize] = select_many(keep, Vector::cast_from(of_gate), zero);
                grad_up[i as usize] = select_many(keep, Vector::cast_from(of_up), zero);
            }
        }
    }
}
