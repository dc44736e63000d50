//! Work on slices, spread over the threads that there are. This is the only file that touches
//! rayon.

use core::error::Error;
use std::panic::catch_unwind;
use std::sync::OnceLock;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// Calls `work` for each task with its number and its part of `data`, which is `task_len` long
/// except for the last. Tasks run on the threads of the current pool, or on this thread if no pool
/// can start.
pub(crate) fn for_each_task<T: Send>(
    data: &mut [T],
    task_len: usize,
    work: impl Fn(usize, &mut [T]) + Send + Sync,
) {
    if has_pool() {
        let tasks = data.par_chunks_mut(task_len).enumerate();
        tasks.for_each(|(task, data)| work(task, data));
    } else {
        let tasks = data.chunks_mut(task_len).enumerate();
        tasks.for_each(|(task, data)| work(task, data));
    }
}

/// Returns true if rayon has a pool for this thread. Rayon starts the global one at its first use,
/// and panics at each use if the system gave it no threads.
fn has_pool() -> bool {
    static GLOBAL: OnceLock<bool> = OnceLock::new();
    // wasm32 has no threads; rayon then runs everything on this one.
    cfg!(target_arch = "wasm32")
        || rayon::current_thread_index().is_some()
        || *GLOBAL.get_or_init(|| match ThreadPoolBuilder::new().build_global() {
            Ok(()) => true,
            // An error with a source comes from the system. An error without a source means that
            // the pool was already started. Only a panic shows whether that start failed.
            Err(error) => {
                error.source().is_none() && catch_unwind(rayon::current_num_threads).is_ok()
            }
        })
}
