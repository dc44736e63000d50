//! Applying a call to slices: forward and backward, with an output slice and in place.

use wgpu_dropout::cpu::{Slices, apply};
use wgpu_dropout::{CpuError, DropoutCall, Element, MaskSource, SourceError};

use crate::common::inputs::values;
use crate::common::kinds::Direction;

pub const CANARY: f32 = -6.25e4;

pub fn vector_length(elements: usize, len: usize) -> CpuError {
    CpuError::VectorLength { elements, len }
}

pub fn mismatch(input: usize, output: usize) -> CpuError {
    CpuError::LengthMismatch { input, output }
}

pub fn mask_length(words: usize, required: u64, len: u64) -> SourceError {
    SourceError::MaskLength {
        words,
        required,
        len,
    }
}

/// The results for `x`: with an output slice, and in place.
pub fn both_ways<'a, T: Element>(
    direction: Direction,
    source: impl Into<MaskSource<'a>>,
    x: &[T],
    call: &DropoutCall,
) -> Result<[Vec<T>; 2], String> {
    let (source, mut y) = (source.into(), vec![T::from_f32(CANARY); x.len()]);
    let mut data = x.to_vec();
    for slices in [Slices::from((x, &mut y[..])), Slices::from(&mut data)] {
        apply(direction, source, slices, call).map_err(|error| error.to_string())?;
    }
    Ok([y, data])
}

/// Both directions, with an output and in place, fail with `error` and change no slice.
#[track_caller]
pub fn refuses<'a>(
    source: impl Into<MaskSource<'a>>,
    len: usize,
    call: &DropoutCall,
    error: &CpuError,
) {
    let (source, x, mut y) = (source.into(), values(len as u64), vec![CANARY; len]);
    for &direction in Direction::ALL {
        let two = apply(direction, source, (&x, &mut y), call);
        assert_eq!(two.as_ref(), Err(error), "{direction:?}");
        let in_place = apply(direction, source, &mut y, call);
        assert_eq!(in_place.as_ref(), Err(error), "{direction:?} in place");
    }
    assert_eq!(y, vec![CANARY; len]);
}
