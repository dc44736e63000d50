//! Mutants that change no result, and why.

/// A mutant by its file and its line after the change.
pub struct Equivalent {
    pub file: &'static str,
    pub line: &'static str,
    pub reason: &'static str,
}

pub const EQUIVALENT: &[Equivalent] = &[];
