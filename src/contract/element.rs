//! Types of a tensor's elements.

use core::fmt;
use core::str::FromStr;

use half::{bf16, f16};

use super::name::{self, ParseNameError};

/// The type of a tensor's elements on the device. No type needs a feature of the adapter: kernels
/// read two elements of 16 bits as one `u32`, the first in its lower half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum ElementType {
    /// IEEE 754 binary32.
    #[default]
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    Bf16,
}

impl ElementType {
    /// Every type.
    pub const ALL: &'static [Self] = &[Self::F32, Self::F16, Self::Bf16];

    /// Size of an element in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for ElementType {
    type Err = ParseNameError;

    /// Reads `f32`, `f16` or `bf16`.
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        name::parse(text, "element type", Self::ALL)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// An element on the host: `f32`, [`half::f16`] or [`half::bf16`].
pub trait Element: sealed::Sealed + bytemuck::Pod + Send + Sync + fmt::Debug {
    /// Its type on the device.
    const TYPE: ElementType;

    /// The same number, exactly.
    fn to_f32(self) -> f32;

    /// The nearest number of this type; of two that are equally near, the even one \[M11\].
    fn from_f32(number: f32) -> Self;
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::F32;

    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(number: f32) -> Self {
        number
    }
}

impl Element for f16 {
    const TYPE: ElementType = ElementType::F16;

    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    fn from_f32(number: f32) -> Self {
        Self::from_f32(number)
    }
}

impl Element for bf16 {
    const TYPE: ElementType = ElementType::Bf16;

    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    fn from_f32(number: f32) -> Self {
        Self::from_f32(number)
    }
}
