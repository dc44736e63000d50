//! The list that `wgpu-dropout wgsl --output-dir` writes beside its texts.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// One text.
pub struct Kernel {
    pub file: String,
    pub entry_point: String,
    /// Needs the type `u64`.
    pub int64: bool,
    /// Needs immediates.
    pub immediates: bool,
    /// Stands for texts that differ from it in the number of dimensions alone.
    pub typical: bool,
}

impl Kernel {
    pub fn read(folder: &Path) -> Result<Vec<Self>> {
        let path = folder.join("kernels.json");
        let kernels: Vec<Value> = serde_json::from_str(&fs::read_to_string(path)?)?;
        let kernels = kernels.iter().map(Self::of);
        kernels
            .collect::<Option<_>>()
            .ok_or_else(|| "kernels.json has not what it had".into())
    }

    fn of(kernel: &Value) -> Option<Self> {
        let text = |name: &str| Some(kernel[name].as_str()?.to_owned());
        let features = kernel["features"].as_array()?;
        Some(Self {
            file: text("file")?,
            entry_point: text("entry_point")?,
            int64: features.iter().any(|feature| feature == "SHADER_INT64"),
            immediates: features.iter().any(|feature| feature == "IMMEDIATES"),
            typical: kernel["typical"].as_bool()?,
        })
    }

    /// Returns true if every implementation of WebGPU takes the kernel.
    pub fn is_portable(&self) -> bool {
        !self.int64 && !self.immediates
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn features_are_read() {
        let kernel = |features: &[&str]| {
            Kernel::of(&json!({
                "file": "a.wgsl",
                "entry_point": "a",
                "features": features,
                "typical": true,
            }))
            .unwrap()
        };
        assert!(kernel(&[]).is_portable() && kernel(&[]).typical);
        assert!(!kernel(&["SHADER_INT64"]).is_portable());
        assert!(!kernel(&["IMMEDIATES"]).is_portable());
    }

    #[test]
    fn a_description_without_a_name_is_refused() {
        assert!(
            Kernel::of(&json!({ "entry_point": "a", "features": [], "typical": true })).is_none()
        );
    }
}
