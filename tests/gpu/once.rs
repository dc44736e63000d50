//! Handles that several cases share, since drivers take long to compile their kernels.

use std::sync::{Arc, Mutex};

use crate::case::text;

/// Returns the value in `made` that `is_it` accepts. If there is none, makes one and keeps it.
pub fn once<T>(
    made: &Mutex<Vec<Arc<T>>>,
    is_it: impl Fn(&T) -> bool,
    make: impl FnOnce() -> Result<T, String>,
) -> Result<Arc<T>, String> {
    let mut made = made.lock().map_err(text)?;
    if let Some(kernels) = made.iter().find(|kernels| is_it(kernels)) {
        return Ok(Arc::clone(kernels));
    }
    let kernels = Arc::new(make()?);
    made.push(Arc::clone(&kernels));
    Ok(kernels)
}
