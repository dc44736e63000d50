//! Work on slices, on several threads where there are some: the only file that touches rayon.

use core::error::Error;
use std::panic::catch_unwind;
use std::sync::OnceLock;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// Calls `work` with the number of each task and its part of `data`, `task_len` long but for the
/// last: on the threads of the current pool, and on this one alone where no pool can start.
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
/// and panics at each use where the system gave it no threads.
fn has_pool() -> bool {
    static GLOBAL: OnceLock<bool> = OnceLock::new();
    // Without threads at all rayon makes do with this one.
    cfg!(target_arch = "wasm32")
        || rayon::current_thread_index().is_some()
        || *GLOBAL.get_or_init(|| match ThreadPoolBuilder::new().build_global() {
            Ok(()) => true,
            // Only the system's errors have a source. The other one says that somebody has tried before,
            // and rayon tells how that ended by a panic alone.
            Err(error) => {
                error.source().is_none() && catch_unwind(rayon::current_num_threads).is_ok()
            }
        })
}
