//! Faults that tests plant into kernels and into what the host does with them: the auditor must find
//! each. There is nothing of this in another build.

use std::cell::RefCell;

use crate::source::Kernel;

/// One thing that is wrong.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// In the text of the kernels that the function names, `from` is `to`.
    Text {
        from: &'static str,
        to: &'static str,
        of: fn(Kernel) -> bool,
    },
    /// The texts become others.
    Texts(fn(&str) -> String),
    /// The host does this to what it records, after what it recorded last.
    Dispatch(fn(&mut Dispatch, Option<&Dispatch>)),
    /// To what it binds.
    Bindings(fn(&mut Vec<(u32, wgpu::BufferBinding<'_>)>)),
    /// To a layout's dimensions, eight times size, start and stride (low, high).
    Dimensions(fn(&mut [[u32; 4]])),
}

/// What is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    pub kernel: Kernel,
    /// As the shader's words.
    pub params: Vec<u32>,
    pub invocations: u32,
}

impl Dispatch {
    pub fn parts(&self) -> (Kernel, &[u8], u32) {
        (self.kernel, bytemuck::cast_slice(&self.params), self.invocations)
    }
}

#[derive(Default)]
struct Planted {
    fault: Option<Fault>,
    /// How often it did something.
    met: usize,
    /// What the host recorded last.
    last: Option<Dispatch>,
}

thread_local! {
    static PLANTED: RefCell<Planted> = RefCell::default();
}

/// Does `work` with the fault, and tells how often it was met.
pub(crate) fn with<T>(fault: Fault, work: impl FnOnce() -> T) -> (T, usize) {
    PLANTED.set(Planted {
        fault: Some(fault),
        ..Planted::default()
    });
    let result = work();
    (result, PLANTED.take().met)
}

pub(crate) fn text(kernel: Kernel, text: String) -> String {
    PLANTED.with_borrow_mut(|planted| match planted.fault {
        Some(Fault::Text { from, to, of }) if of(kernel) && text.contains(from) => {
            planted.met += 1;
            text.replace(from, to)
        }
        Some(Fault::Texts(change)) => {
            planted.met += 1;
            change(&text)
        }
        _ => text,
    })
}

pub(crate) fn dispatch(kernel: Kernel, params: &[u8], invocations: u32) -> Dispatch {
    PLANTED.with_borrow_mut(|planted| {
        let mut dispatch = Dispatch {
            kernel,
            params: bytemuck::pod_collect_to_vec(params),
            invocations,
        };
        if let Some(Fault::Dispatch(change)) = planted.fault {
            let right = format!("{dispatch:?}");
            change(&mut dispatch, planted.last.as_ref());
            planted.met += usize::from(format!("{dispatch:?}") != right);
        }
        planted.last = Some(dispatch.clone());
        dispatch
    })
}

pub(crate) fn bindings<'a>(
    bindings: &[(u32, wgpu::BufferBinding<'a>)],
) -> Vec<(u32, wgpu::BufferBinding<'a>)> {
    PLANTED.with_borrow_mut(|planted| {
        let mut changed = bindings.to_vec();
        if let Some(Fault::Bindings(change)) = planted.fault {
            change(&mut changed);
            planted.met += usize::from(format!("{changed:?}") != format!("{bindings:?}"));
        }
        changed
    })
}

pub(crate) fn uniform(content: &[u8]) -> Vec<u8> {
    PLANTED.with_borrow_mut(|planted| {
        let mut dimensions: Vec<[u32; 4]> = bytemuck::pod_collect_to_vec(content);
        if let Some(Fault::Dimensions(change)) = planted.fault {
            change(&mut dimensions);
            let changed = bytemuck::cast_slice::<_, u8>(&dimensions) != content;
            planted.met += usize::from(changed);
        }
        bytemuck::pod_collect_to_vec(&dimensions)
    })
}
