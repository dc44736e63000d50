//! Kernels of rows with a norm. Parameters tell a kernel which norm it computes, whether there is a
//! bias, and which of its ranges are bound.

use super::activated::Decide;
use crate::contract::element::ElementType;
use crate::contract::norm::MaskPlace;

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Normed {
    pub element: ElementType,
    pub form: NormForm,
    /// Where dropout stands.
    pub place: MaskPlace,
    pub decide: Decide,
}

/// The results that the kernel computes, and the ranges that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NormForm {
    /// Computes sum and output. Residual and sum share one range: the sum overwrites the residual,
    /// or at least one of the two is absent.
    Forward,
    /// Computes sum and output. Residual and sum have a range each.
    ForwardApart,
    /// Computes the gradient of the sum and the masked gradient, which overwrites the gradient of
    /// the output.
    Gradient,
    /// Computes the same two gradients, each into a range of its own.
    GradientApart,
}

impl Normed {
    /// Each kernel.
    pub fn all() -> impl Iterator<Item = Self> {
        ElementType::ALL.iter().flat_map(|&element| {
            NormForm::ALL.into_iter().flat_map(move |form| {
                [MaskPlace::Branch, MaskPlace::Output]
                    .into_iter()
                    .flat_map(move |place| {
                        Decide::ALL.map(move |decide| Self {
                            element,
                            form,
                            place,
                            decide,
                        })
                    })
            })
        })
    }
}

impl Normed {
    /// Returns true if the kernel loads 16 bytes at a time.
    pub fn by_vectors(self) -> bool {
        self.decide == Decide::Linear
    }
}

impl NormForm {
    /// Each form.
    const ALL: [Self; 4] = [
        Self::Forward,
        Self::ForwardApart,
        Self::Gradient,
        Self::GradientApart,
    ];

    /// Returns true if the kernel computes gradients.
    pub const fn is_gradient(self) -> bool {
        matches!(self, Self::Gradient | Self::GradientApart)
    }

    /// The name in [`fields`](super::wgsl::Variant::fields).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::ForwardApart => "forward-apart",
            Self::Gradient => "gradient",
            Self::GradientApart => "gradient-apart",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::axes::{BufferAccess, Kernel, ParamsSource};

    #[test]
    fn norms_are_few_kernels_of_five_storage_buffers_at_most() {
        assert!(Normed::all().count() <= 80);
        for normed in Normed::all() {
            let buffers = Kernel::Normed(normed).buffers(ParamsSource::Immediates);
            let storage = buffers
                .iter()
                .filter(|buffer| buffer.access != BufferAccess::Uniform);
            let side = usize::from(normed.decide == Decide::BySide);
            let is_apart = matches!(
                normed.form,
                NormForm::ForwardApart | NormForm::GradientApart
            );
            assert_eq!(
                storage.count(),
                4 + usize::from(is_apart) + side,
                "{normed:?}"
            );
        }
    }
}
