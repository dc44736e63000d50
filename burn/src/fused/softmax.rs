//! A softmax before a dropout, as in attention.

use burn::backend::Dispatch;
use burn::serde::{Deserialize, Serialize};
use burn::tensor::{Bool, Tensor};
use wgpu_dropout::{DropoutCall, MaskLayout, Operation, Softmax};

use super::operation::{FusedBackend, MaybeHidden};
use super::{checked, columns, composed};
use crate::error::DropoutError;

/// The scores that are replaced before the softmax, as in Burn's attention.
#[derive(Clone, Debug)]
pub struct ScoreMask {
    /// True where the score is replaced. Each of the first three dimensions has the scores' size or
    /// 1.
    pub hidden: Tensor<4, Bool>,
    /// The number that replaces a score after the factor is applied. If a whole row is hidden, its
    /// probabilities are all equal, whatever the number is.
    pub fill: f32,
}

/// The factor of scores, and the number that replaces hidden scores.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(crate = "burn::serde")]
pub struct Scores {
    pub factor: f32,
    pub fill: f32,
}

/// `dropout(softmax(factor * scores))` \[M26\] over the last dimension of
/// `[batch, heads, queries, keys]`, in one pass. The scores are kept for backward, which computes
/// the probabilities again.
///
/// # Errors
///
/// See [`DropoutError`].
pub fn softmax_dropout(
    scores: Tensor<4>,
    factor: f32,
    mask: Option<ScoreMask>,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<Tensor<4>, DropoutError> {
    let linear = checked(&scores, layout, call, Operation::SoftmaxDropout)?;
    let columns = u32::try_from(columns(&scores)).unwrap_or(u32::MAX);
    Softmax::new(columns, factor)?;
    if let Some(mask) = &mask {
        let (shape, expected) = (mask.hidden.dims(), scores.dims());
        let repeats = |dimension: usize| [1, expected[dimension]].contains(&shape[dimension]);
        if !(0..3).all(repeats) || shape[3] != expected[3] {
            return Err(DropoutError::Shape {
                name: "mask",
                shape: shape.to_vec(),
                expected: expected.to_vec(),
            });
        }
    }
    let Some(call) = linear else {
        return composed::softmax(scores, factor, mask, Some((layout, call)));
    };
    let fill = mask.as_ref().map_or(0.0, |mask| mask.fill);
    Ok(Tensor::from_dispatch(Dispatch::softmax_dropout(
        scores.into_dispatch(),
        mask.map_or(MaybeHidden::Absent, |mask| {
            MaybeHidden::Present(mask.hidden.into_dispatch())
        }),
        Scores { factor, fill },
        call,
    )))
}
