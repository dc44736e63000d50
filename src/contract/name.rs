//! Names of kinds, types, directions and patterns.

use core::fmt::Display;

/// A text that is not one of the known names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: give one of {names}")]
#[non_exhaustive]
pub struct ParseNameError {
    /// The text.
    pub text: String,
    /// The kind of name, as "activation" or "direction".
    pub what: &'static str,
    /// The known names.
    pub names: String,
}

/// Returns the value of `all` that is displayed as `text`.
pub(crate) fn parse<T: Copy + Display>(
    text: &str,
    what: &'static str,
    all: &[T],
) -> Result<T, ParseNameError> {
    let names: Vec<_> = all.iter().map(T::to_string).collect();
    match names.iter().position(|name| name == text) {
        Some(number) => Ok(all[number]),
        None => Err(ParseNameError {
            text: text.to_owned(),
            what,
            names: names.join(", "),
        }),
    }
}
