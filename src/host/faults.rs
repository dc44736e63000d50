//! Faults that tests plant into kernels and into what the host does with them: the auditor must find
//! each. There is nothing of this in another build.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernel::axes::{Kernel, Role};
use crate::plan::params::{DimensionParams, MAX_DIMENSIONS};

/// A buffer's window and its role.
pub(crate) type Window<'a> = (Role, wgpu::BufferBinding<'a>);

/// One thing that is wrong.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// In the text of the kernels that the function names, `from` is `to`.
    Text {
        from: &'static str,
        to: &'static str,
        of: fn(Kernel) -> bool,
    },
    /// In the text of the functions for kernels of others, `from` is `to`.
    Functions {
        from: &'static str,
        to: &'static str,
    },
    /// The texts become others.
    Texts(fn(&str) -> String),
    /// The host does this to what it records, after what it recorded last.
    Dispatch(fn(&mut Dispatch, Option<&Dispatch>)),
    /// To what it binds.
    Windows(fn(&mut [Window<'_>])),
    /// To a layout.
    Dimensions(fn(&mut [DimensionParams])),
}

/// A recorded dispatch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dispatch {
    pub kernel: Kernel,
    /// As the shader's words.
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
    /// How often it did something.
    met: usize,
    /// The dispatch that the host recorded last.
    last: Option<Dispatch>,
}

/// One for all threads, since kernels are compiled on several.
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

/// Does `work` with the fault, and tells how often it was met. One test at a time plants one.
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

/// The functions for kernels of others and what calls them.
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
