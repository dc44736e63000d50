//! Dropout of slices, as in shaders/entry/dropout_*.wgsl and shaders/value/*.wgsl.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use multiversion::multiversion;

use super::error::CpuError;
use super::gaussian::multiply_by_noise;
use super::mask::{BATCH_ELEMENTS, Keep, Mask, for_each_batch};
use super::tasks::for_each_task;
use crate::contract::call::DropoutCall;
use crate::contract::effect::{Direction, Effect};
use crate::contract::element::{Element, ElementType};
use crate::contract::source::MaskSource;

/// Elements of one task of the pool. A task takes some tens of microseconds.
pub(super) const TASK_ELEMENTS: usize = 1 << 15;

/// The slices of one application: an input and an output, or data that the result overwrites. A
/// pair `(&input, &mut output)` and a single `&mut data` convert into this type.
#[derive(Debug)]
pub enum Slices<'a, T> {
    /// Two slices of one length.
    Two {
        /// The slice that is read.
        input: &'a [T],
        /// The slice that is written.
        output: &'a mut [T],
    },
    /// One slice.
    InPlace(&'a mut [T]),
}

impl<'a, T> Slices<'a, T> {
    /// The input and the output. The input is `None` if it stands in the output.
    pub(super) fn parts(self) -> Result<(Option<&'a [T]>, &'a mut [T]), CpuError> {
        match self {
            Self::Two { input, output } => {
                if input.len() != output.len() {
                    return Err(CpuError::LengthMismatch {
                        input: input.len(),
                        output: output.len(),
                    });
                }
                Ok((Some(input), output))
            }
            Self::InPlace(data) => Ok((None, data)),
        }
    }
}

impl<'a, T> From<(&'a [T], &'a mut [T])> for Slices<'a, T> {
    fn from((input, output): (&'a [T], &'a mut [T])) -> Self {
        Self::Two { input, output }
    }
}

impl<'a, T> From<(&'a Vec<T>, &'a mut Vec<T>)> for Slices<'a, T> {
    fn from((input, output): (&'a Vec<T>, &'a mut Vec<T>)) -> Self {
        Self::Two { input, output }
    }
}

impl<'a, T, const N: usize> From<(&'a [T; N], &'a mut [T; N])> for Slices<'a, T> {
    fn from((input, output): (&'a [T; N], &'a mut [T; N])) -> Self {
        Self::Two { input, output }
    }
}

impl<'a, T> From<&'a mut [T]> for Slices<'a, T> {
    fn from(data: &'a mut [T]) -> Self {
        Self::InPlace(data)
    }
}

impl<'a, T> From<&'a mut Vec<T>> for Slices<'a, T> {
    fn from(data: &'a mut Vec<T>) -> Self {
        Self::InPlace(data)
    }
}

/// Dropout of slices of `f32`, [`half::f16`] or [`half::bf16`], forward or backward: what
/// [`Dropout::encode`](crate::Dropout::encode) does with buffers.
///
/// # Errors
///
/// - [`CpuError::LengthMismatch`] unless input and output have one length;
/// - [`CpuError::Source`] unless the source has that length, a packed mask has a bit for each
///   element in whole words, and there is an id for each sample;
/// - [`CpuError::Call`] as for [`Dropout::encode_forward`](crate::Dropout::encode_forward), also if
///   the mask indices of the largest id would pass 2^64 - 1.
///
/// After an error nothing has been written.
///
/// ```
/// use wgpu_dropout::{Direction, DropoutCall, DropoutRate, MaskKey, MaskLayout, cpu};
///
/// let call = DropoutCall::new(DropoutRate::new(0.5)?, MaskKey::layer_step(42, 3, 7));
/// let x = vec![1.0f32; 8];
/// let mut y = vec![0.0; 8];
/// cpu::apply(Direction::Forward, x.len(), (&x, &mut y), &call)?;
/// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0));
///
/// // One decision for each of two rows, in place.
/// let rows = MaskLayout::drop_path(&[2, 4])?;
/// cpu::apply(Direction::Backward, &rows, &mut y, &call)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn apply<'a, 'b, T: Element>(
    direction: Direction,
    source: impl Into<MaskSource<'a>>,
    slices: impl Into<Slices<'b, T>>,
    call: &DropoutCall,
) -> Result<(), CpuError> {
    let source = source.into();
    let (input, data) = slices.into().parts()?;
    source.check_slices(data.len())?;
    source.check_call(call)?;
    let mask = Mask::new(source);
    let factors = Factors::of(call);
    let drops_nothing = call.rate.drops_nothing();
    let effect = match mask {
        // A packed mask decides even if the rate is 0.
        Mask::Packed(_) if drops_nothing => Effect::Keep,
        _ if drops_nothing => Effect::Copy,
        _ => Effect::of(call.kind, direction),
    };
    let by_call = !matches!(mask, Mask::Packed(_));
    // A copy in place does nothing.
    if effect == Effect::Copy && input.is_none() {
        return Ok(());
    }
    if by_call && call.rate.drops_all() {
        for_each_task(data, TASK_ELEMENTS, |_, data| data.fill(T::zeroed()));
        return Ok(());
    }
    for_each_task(data, TASK_ELEMENTS, |task, data| {
        let start = task * TASK_ELEMENTS;
        let input = input.map(|input| &input[start..start + data.len()]);
        match effect {
            Effect::Copy => copy(input, data),
            Effect::Noise => {
                copy(input, data);
                multiply_by_noise(data, mask, call, start as u64);
            }
            _ => write(input, data, mask, call, start as u64, (effect, factors)),
        }
    });
    Ok(())
}

/// The operands of an [`Effect`].
#[derive(Clone, Copy, Debug)]
struct Factors {
    scale: f32,
    shift: f32,
    dropped: f32,
}

impl Factors {
    fn of(call: &DropoutCall) -> Self {
        Self {
            scale: call.keep_scale(),
            shift: call.keep_shift(),
            dropped: call.dropped_value(),
        }
    }
}

pub(super) fn copy<T: Copy>(input: Option<&[T]>, data: &mut [T]) {
    if let Some(input) = input {
        data.copy_from_slice(input);
    }
}

#[multiversion(targets("x86_64+avx+avx2"))]
fn write<T: Element>(
    input: Option<&[T]>,
    data: &mut [T],
    mask: Mask<'_>,
    call: &DropoutCall,
    start: u64,
    value: (Effect, Factors),
) {
    for_each_batch(mask, call, start, data.len(), |range, keep| {
        let data = &mut data[range.clone()];
        copy(input.map(|input| &input[range]), data);
        drop_out(data, keep, value);
    });
}

#[inline(always)]
fn drop_out<T: Element>(data: &mut [T], keep: &[Keep], (effect, factors): (Effect, Factors)) {
    let Factors {
        scale,
        shift,
        dropped,
    } = factors;
    let mut otherwise = T::zeroed();
    match effect {
        Effect::Scale => map_f32(data, |x| x * scale),
        Effect::Affine => {
            map_f32(data, |x| x * scale + shift);
            otherwise = T::from_f32(dropped);
        }
        Effect::Keep | Effect::Copy | Effect::Noise => {}
    }
    for (x, keep) in data.iter_mut().zip(keep) {
        *x = if *keep != 0 { *x } else { otherwise };
    }
}

/// Replaces each element by `map` of it, computed in f32 and rounded to the element's type \[M11\].
#[inline(always)]
fn map_f32<T: Element>(data: &mut [T], map: impl Fn(f32) -> f32) {
    match T::TYPE {
        ElementType::F32 => map_each(bytemuck::cast_slice_mut(data), map),
        ElementType::F16 => map_wide::<f16>(bytemuck::cast_slice_mut(data), map),
        ElementType::Bf16 => map_wide::<bf16>(bytemuck::cast_slice_mut(data), map),
    }
}

#[inline(always)]
fn map_each(data: &mut [f32], map: impl Fn(f32) -> f32) {
    for x in data {
        *x = map(*x);
    }
}

/// `data` has at most [`BATCH_ELEMENTS`].
#[inline(always)]
fn map_wide<T>(data: &mut [T], map: impl Fn(f32) -> f32)
where
    [T]: HalfFloatSliceExt,
{
    let mut wide = [0.0; BATCH_ELEMENTS];
    let wide = &mut wide[..data.len()];
    data.convert_to_f32_slice(wide);
    map_each(wide, map);
    data.convert_from_f32_slice(wide);
}
