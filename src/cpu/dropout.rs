//! Dropout of slices, as in shaders/entry/dropout_*.wgsl and shaders/value/*.wgsl.

use core::ops::Range;

use multiversion::multiversion;
use multiversion::target::match_target;

use super::error::CpuError;
use super::gaussian::multiply_by_noise;
use super::mask::{BATCH_ELEMENTS, Keep, Mask, SHORT_BATCH_ELEMENTS, for_each_batch};
use super::tasks::for_each_task;
use super::value::{F16, GROUP, Halves, Wide, choose, map_f32, portable};
use crate::contract::call::DropoutCall;
use crate::contract::effect::{Direction, Effect};
use crate::contract::element::Element;
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
            _ => {
                let start = start as u64;
                let work = Work {
                    mask,
                    call,
                    start,
                    effect,
                    factors,
                };
                write(input, data, work);
            }
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

/// The dropout of a task's elements, the first of which is the tensor's element `start`.
#[derive(Clone, Copy)]
struct Work<'a> {
    mask: Mask<'a>,
    call: &'a DropoutCall,
    start: u64,
    effect: Effect,
    factors: Factors,
}

pub(super) fn copy<T: Copy>(input: Option<&[T]>, data: &mut [T]) {
    if let Some(input) = input {
        data.copy_from_slice(input);
    }
}

#[multiversion(targets("x86_64+avx+avx2+f16c"))]
fn write<T: Element>(input: Option<&[T]>, data: &mut [T], work: Work<'_>) {
    match_target! {
        "x86_64+avx+avx2+f16c" => {
            use core::arch::x86_64::{_MM_FROUND_TO_NEAREST_INT, _mm256_cvtph_ps, _mm256_cvtps_ph};
            let f16 = F16 {
                widen: |halves: Halves| {
                    let eights: [[half::f16; 8]; GROUP / 8] = bytemuck::cast(halves);
                    bytemuck::cast(eights.map(|x| _mm256_cvtph_ps(bytemuck::cast(x))))
                },
                narrow: |wide: Wide| {
                    let eights: [[f32; 8]; GROUP / 8] = bytemuck::cast(wide);
                    bytemuck::cast(eights.map(|x| {
                        _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(bytemuck::cast(x))
                    }))
                },
            };
            write_by(f16, input, data, work);
        },
        _ => write_by(portable(), input, data, work),
    }
}

#[inline(always)]
fn write_by<T: Element>(
    f16: F16<impl Fn(Halves) -> Wide + Copy, impl Fn(Wide) -> Halves + Copy>,
    input: Option<&[T]>,
    data: &mut [T],
    work: Work<'_>,
) {
    if work.mask.suits_short_batches(work.call, work.start) {
        write_batches::<T, SHORT_BATCH_ELEMENTS>(f16, input, data, work);
    } else {
        write_batches::<T, BATCH_ELEMENTS>(f16, input, data, work);
    }
}

#[inline(always)]
fn write_batches<T: Element, const BATCH: usize>(
    f16: F16<impl Fn(Halves) -> Wide + Copy, impl Fn(Wide) -> Halves + Copy>,
    input: Option<&[T]>,
    data: &mut [T],
    work: Work<'_>,
) {
    let dropped = T::from_f32(work.factors.dropped);
    let value = (work.effect, work.factors, dropped);
    for_each_batch::<BATCH>(
        work.mask,
        work.call,
        work.start,
        data.len(),
        |range, keep| {
            let data = &mut data[range.clone()];
            let input = input.map(|input| &input[range]);
            let whole = data.len() / GROUP * GROUP;
            for first in (0..whole).step_by(GROUP) {
                let group = first..first + GROUP;
                replace(f16, input, data, keep, group, value);
            }
            if whole < data.len() {
                let group = whole..data.len();
                replace(f16, input, data, keep, group, value);
            }
        },
    );
}

/// Drops out the elements of `group`, at most [`GROUP`].
#[inline(always)]
fn replace<T: Element>(
    f16: F16<impl Fn(Halves) -> Wide, impl Fn(Wide) -> Halves>,
    input: Option<&[T]>,
    data: &mut [T],
    keep: &[Keep],
    group: Range<usize>,
    (effect, Factors { scale, shift, .. }, dropped): (Effect, Factors, T),
) {
    let len = group.len();
    let (mut x, mut decisions) = ([T::zeroed(); GROUP], [0; GROUP]);
    x[..len].copy_from_slice(&input.unwrap_or(data)[group.clone()]);
    decisions[..len].copy_from_slice(&keep[group.clone()]);
    let y = match effect {
        Effect::Scale => choose(map_f32(x, |x| x * scale, f16), decisions, T::zeroed()),
        Effect::Affine => choose(map_f32(x, |x| x * scale + shift, f16), decisions, dropped),
        Effect::Keep | Effect::Copy | Effect::Noise => choose(x, decisions, T::zeroed()),
    };
    data[group].copy_from_slice(&y[..len]);
}
