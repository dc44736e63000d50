//! Kernels of an activation before dropout. Each activation multiplies the number of kernels, so
//! that other axes are not compiled in: parameters tell a kernel how decisions are made, whether
//! there is a bias, and which ranges are bound.

use crate::contract::activation::Activation;
use crate::contract::element::ElementType;

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Activated {
    pub activation: Activation,
    pub element: ElementType,
    pub form: Form,
    pub decide: Decide,
}

/// The result that the kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// The output of one input.
    Forward,
    /// The gradient of one input.
    Gradient,
    /// The output of a gate and its other factor (up).
    Gated,
    /// The gradients of a gate and of its other factor.
    GatedGradient,
}

/// The source of the decisions. With every source, parameters may say that nothing is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Decide {
    /// Consecutive mask indices; 16 bytes are loaded at a time.
    Linear,
    /// Any layout; 4 bytes are loaded at a time.
    Drawn,
    /// Any layout with sample ids, or a packed mask; 4 bytes are loaded at a time.
    BySide,
}

impl Activated {
    /// Each kernel.
    pub fn all() -> impl Iterator<Item = Self> {
        let activations = Activation::ALL.iter();
        activations.flat_map(|&activation| {
            ElementType::ALL.iter().flat_map(move |&element| {
                Form::ALL.into_iter().flat_map(move |form| {
                    Decide::ALL.map(move |decide| Self {
                        activation,
                        element,
                        form,
                        decide,
                    })
                })
            })
        })
    }

    /// Returns true if the kernel loads 16 bytes at a time.
    pub fn by_vectors(self) -> bool {
        self.decide == Decide::Linear
    }
}

impl Form {
    /// Each form.
    const ALL: [Self; 4] = [
        Self::Forward,
        Self::Gradient,
        Self::Gated,
        Self::GatedGradient,
    ];

    /// The name in [`fields`](super::wgsl::Variant::fields).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Gradient => "gradient",
            Self::Gated => "gated",
            Self::GatedGradient => "gated-gradient",
        }
    }
}

impl Decide {
    /// Each source.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Drawn, Self::BySide];

    /// The name in [`fields`](super::wgsl::Variant::fields).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Drawn => "drawn",
            Self::BySide => "by-side",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::kernel::axes::Kernel;

    #[test]
    fn an_activation_adds_few_kernels() {
        let mut counts = HashMap::new();
        for kernel in Activated::all() {
            *counts.entry(kernel.activation).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), Activation::ALL.len());
        assert!(counts.values().all(|count| *count <= 40), "{counts:?}");
    }

    #[test]
    fn common_forms_take_four_storage_buffers() {
        for activated in Activated::all() {
            let storage_buffers = Kernel::Activated(activated).storage_buffers();
            let side = usize::from(activated.decide == Decide::BySide);
            assert!(storage_buffers <= 4 + side, "{activated:?}");
        }
    }
}
