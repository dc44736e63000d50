//! Faults that tests plant into kernels and into the host's work, each of which the auditor must
//! find. Only builds of the unit tests have this file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernel::axes::{Kernel, Role};
use crate::plan::params::{DimensionParams, MAX_DIMENSIONS};

/// A buffer's window and its role.
pub(crate) type Window<'a> = (Role, wgpu::BufferBinding<'a>);

/// One fault.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Replaces `from` by `to` in the texts of the kernels for which `of` returns true.
    Text {
        from: &'static str,
        to: &'static str,
        of: fn(Kernel) -> bool,
    },
    /// Replaces `from` by `to` in the text of [`wgsl::functions`](crate::wgsl::functions).
    Functions {
        from: &'static str,
        to: &'static str,
    },
    /// Changes every text by the function.
    Texts(fn(&str) -> String),
    /// Changes each dispatch before the host records it. The second argument is the dispatch that
    /// was to be recorded before it.
    Dispatch(fn(&mut Dispatch, Option<&Dispatch>)),
    /// Changes the windows that the host binds.
    Windows(fn(&mut [Window<'_>])),
    /// Changes the layouts that the host passes to kernels.
    Dimensions(fn(&mut [DimensionParams])),
}

/// A recorded dispatch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dispatch {
    pub kernel: Kernel,
    /// The parameters as the shader's words.
    pub params: Vec<u32>,
    pub units: u32,
}

impl Dispatch {
    pub fn parts(&self) -> (Kernel, &[u8], u32) {
        (self.kernel, bytemuck::cast_slice(&self.params), self.units)
    }
}

struct Planted {
    fault: Option<Fault>,
    /// Number of times that the fault changed something.
    met: usize,
    /// The last dispatch, as it was before a change.
    last: Option<Dispatch>,
}

/// All threads share one fault, since several threads compile kernels.
static PLANTED: Mutex<Planted> = Mutex::new(Planted {
    fault: None,
    met: 0,
    last: None,
});

fn planted() -> MutexGuard<'static, Planted> {
    PLANTED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plant(fault: Option<Fault>) -> usize {
    let mut planted = planted();
    let met = planted.met;
    *planted = Planted {
        fault,
        met: 0,
        last: None,
    };
    met
}

/// Runs `work` with the fault, and returns how often the fault changed something. Only one test at
/// a time may plant a fault.
pub(crate) fn with<T>(fault: Fault, work: impl FnOnce() -> T) -> (T, usize) {
    plant(Some(fault));
    let result = work();
    (result, plant(None))
}

pub(super) fn text(kernel: Kernel, text: String) -> String {
    let mut planted = planted();
    let changed = match planted.fault {
        Some(Fault::Text { from, to, of }) if of(kernel) => text.replace(from, to),
        Some(Fault::Texts(change)) => change(&text),
        _ => return text,
    };
    planted.met += usize::from(changed != text);
    changed
}

/// Applies a fault to the text of [`wgsl::functions`](crate::wgsl::functions) and of a kernel that
/// includes it.
pub(crate) fn functions(text: String) -> String {
    let mut planted = planted();
    let changed = match planted.fault {
        Some(Fault::Functions { from, to }) => text.replace(from, to),
        Some(Fault::Texts(change)) => change(&text),
        _ => return text,
    };
    planted.met += usize::from(changed != text);
    changed
}

pub(super) fn dispatch(kernel: Kernel, params: &[u8], units: u32) -> Dispatch {
    let mut planted = planted();
    let mut dispatch = Dispatch {
        kernel,
        params: bytemuck::pod_collect_to_vec(params),
        units,
    };
    if let Some(Fault::Dispatch(change)) = planted.fault {
        let right = dispatch.clone();
        change(&mut dispatch, planted.last.as_ref());
        planted.met += usize::from(dispatch != right);
        planted.last = Some(right);
    }
    dispatch
}

pub(super) fn windows(windows: &mut [Window<'_>]) {
    let mut planted = planted();
    if let Some(Fault::Windows(change)) = planted.fault {
        let right = format!("{windows:?}");
        change(windows);
        planted.met += usize::from(format!("{windows:?}") != right);
    }
}

pub(super) fn dimensions(
    mut dimensions: [DimensionParams; MAX_DIMENSIONS],
) -> [DimensionParams; MAX_DIMENSIONS] {
    let mut planted = planted();
    if let Some(Fault::Dimensions(change)) = planted.fault {
        let right = dimensions;
        change(&mut dimensions);
        planted.met += usize::from(dimensions != right);
    }
    dimensions
}
