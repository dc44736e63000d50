//! The types that are measured.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;
use wgpu_dropout::ElementType;

/// The type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    F32,
    F16,
    Bf16,
}

impl Dtype {
    /// The library's type.
    pub fn element(self) -> ElementType {
        match self {
            Self::F32 => ElementType::F32,
            Self::F16 => ElementType::F16,
            Self::Bf16 => ElementType::Bf16,
        }
    }

    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        self.element().bytes()
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.element().fmt(f)
    }
}
