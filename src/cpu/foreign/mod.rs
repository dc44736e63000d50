//! Masks of other frameworks, packed like this crate's \[M15\]. Apply one with
//! [`Elements::packed`](crate::Elements::packed), or use it to compare a port with the original.
//!
//! Each function follows one framework's generator to the bit, so it needs that framework's key.
//! Elements are in row-major order, so the shape does not matter. There is no function for PyTorch,
//! because the position of an element in its random streams depends on the GPU. Its
//! `native_dropout` returns the mask; docs/bring-your-mask.md says how to bring that and other
//! masks.
//!
//! ```
//! use wgpu_dropout::{DropoutRate, cpu::foreign};
//!
//! // jax.random.bernoulli(jax.random.key(42), 1 - 0.1, (1000,))
//! let mut mask = vec![0; 1000_usize.div_ceil(32)];
//! foreign::jax([0, 42], DropoutRate::new(0.1)?, 0..1000, &mut mask)?;
//! // A part of it alone.
//! let mut part = [0];
//! foreign::jax([0, 42], DropoutRate::new(0.1)?, 64..96, &mut part)?;
//! assert_eq!(part[0], mask[2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::ops::Range;

use super::error::CpuError;
use super::tasks::for_each_task;
use crate::contract::error::SourceError;

mod jax;
mod tensorflow;
mod triton;

pub use jax::jax;
pub use tensorflow::tensorflow;
pub use triton::triton;

/// Mask words of one task of the pool.
const TASK_WORDS: usize = 1 << 10;

/// Packs the decisions of `elements`. A range that ends before it begins counts as empty.
fn pack(
    elements: Range<u64>,
    mask: &mut [u32],
    keep: impl Fn(u64) -> bool + Sync,
) -> Result<(), CpuError> {
    let len = elements.end.saturating_sub(elements.start);
    let required = len.div_ceil(32);
    if mask.len() as u64 != required {
        return Err(SourceError::MaskLength {
            words: mask.len(),
            required,
            len,
        }
        .into());
    }
    for_each_task(mask, TASK_WORDS, |task, words| {
        for (word, i) in words.iter_mut().zip(task * TASK_WORDS..) {
            let first = elements.start + 32 * i as u64;
            let bits = (elements.end - first).min(32);
            *word = (0..bits).fold(0, |word, bit| word | u32::from(keep(first + bit)) << bit);
        }
    });
    Ok(())
}
