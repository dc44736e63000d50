//! Kernels of rows with a softmax. Parameters tell a kernel which mask there is, and which of its
//! ranges are bound.

use super::activated::Decide;
use crate::contract::element::ElementType;

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Softmaxed {
    pub element: ElementType,
    pub form: SoftmaxForm,
    pub decide: Decide,
}

/// The result that the kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SoftmaxForm {
    /// The output, and probabilities if they are kept.
    Forward,
    /// The gradient of the scores, from the scores.
    Gradient,
    /// The same from the probabilities. A kernel of its own needs neither the exponentials nor
    /// their registers.
    GradientFromProbabilities,
}

impl Softmaxed {
    /// Each kernel.
    pub fn all() -> impl Iterator<Item = Self> {
        ElementType::ALL.iter().flat_map(|&element| {
            SoftmaxForm::ALL.into_iter().flat_map(move |form| {
                Decide::ALL.map(move |decide| Self {
                    element,
                    form,
                    decide,
                })
            })
        })
    }
}

impl Softmaxed {
    /// Returns true if the kernel loads 16 bytes at a time.
    pub fn by_vectors(self) -> bool {
        self.decide == Decide::Linear
    }
}

impl SoftmaxForm {
    pub const ALL: [Self; 3] = [
        Self::Forward,
        Self::Gradient,
        Self::GradientFromProbabilities,
    ];

    /// The name in [`fields`](super::wgsl::Variant::fields).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Gradient => "gradient",
            Self::GradientFromProbabilities => "gradient-from-probabilities",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::axes::{BufferAccess, Kernel, ParamsSource};

    #[test]
    fn softmaxes_are_few_kernels_of_five_storage_buffers_at_most() {
        assert!(Softmaxed::all().count() <= 30);
        for softmaxed in Softmaxed::all() {
            let buffers = Kernel::Softmaxed(softmaxed).buffers(ParamsSource::Immediates);
            let storage = buffers
                .iter()
                .filter(|buffer| buffer.access != BufferAccess::Uniform);
            let side = usize::from(softmaxed.decide == Decide::BySide);
            assert_eq!(storage.count(), 4 + side, "{softmaxed:?}");
        }
    }
}
