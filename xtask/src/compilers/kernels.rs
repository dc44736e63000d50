//! What `wgpu-dropout wgsl --output-dir` says of the texts it wrote.

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
    /// Of the mask's layout, and whether its rows or runs are of whole mask words.
    dimensions: Option<(u64, bool)>,
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
        let fields = &kernel["fields"];
        let number = |name: &str| fields[name].as_str()?.parse().ok();
        Some(Self {
            file: text("file")?,
            entry_point: text("entry_point")?,
            int64: features.iter().any(|feature| feature == "SHADER_INT64"),
            immediates: features.iter().any(|feature| feature == "IMMEDIATES"),
            dimensions: number("dimensions").map(|n| (n, fields["whole-words"] == "yes")),
        })
    }

    /// Whether every implementation of WebGPU takes it.
    pub fn is_portable(&self) -> bool {
        !self.int64 && !self.immediates
    }

    /// Of the texts that differ in no more than the numbers of their layout, a small one and the
    /// largest.
    pub fn is_typical(&self) -> bool {
        self.dimensions
            .is_none_or(|dimensions| [(2, false), (8, true)].contains(&dimensions))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn features_and_dimensions_are_read() {
        let kernel = |features: &[&str], fields: Value| {
            Kernel::of(&json!({
                "file": "a.wgsl",
                "entry_point": "a",
                "features": features,
                "fields": fields,
            }))
            .unwrap()
        };
        let linear = kernel(&[], json!({ "mask": "linear" }));
        assert!(linear.is_portable() && linear.is_typical());
        assert!(!kernel(&["SHADER_INT64"], json!({})).is_portable());
        assert!(!kernel(&["IMMEDIATES"], json!({})).is_portable());
        for (dimensions, whole_words, typical) in [
            ("2", "no", true),
            ("2", "yes", false),
            ("5", "no", false),
            ("8", "yes", true),
        ] {
            let fields = json!({ "dimensions": dimensions, "whole-words": whole_words });
            assert_eq!(kernel(&[], fields).is_typical(), typical);
        }
    }

    #[test]
    fn a_description_without_a_name_is_refused() {
        assert!(Kernel::of(&json!({ "entry_point": "a", "features": [], "fields": {} })).is_none());
    }
}
