//! Names of kinds, types and patterns.

/// A text that is not the name of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: give one of {names}")]
#[non_exhaustive]
pub struct ParseNameError {
    /// The text.
    pub text: String,
    /// What was asked for.
    pub what: &'static str,
    /// The names that there are.
    pub names: &'static str,
}
