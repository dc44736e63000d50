//! The bindings of a case's elements.

use wgpu_dropout::Elements;

use crate::common::add::Source;

/// The layout of a case's ranges in buffers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    Separate,
    Pooled,
    /// The result overwrites one of the inputs.
    InPlace,
}

pub const LAYOUTS: [Layout; 3] = [Layout::Separate, Layout::Pooled, Layout::InPlace];

/// The elements of a source. `side` is the binding of its ids or packed mask.
pub fn elements<'a>(source: &'a Source, side: wgpu::BufferBinding<'a>) -> Elements<'a> {
    match source {
        Source::Len(len) => Elements::from(*len),
        Source::Layout(layout) => Elements::from(layout),
        Source::Samples(layout, _) => Elements::samples(layout, side),
        Source::Packed(_, len) => Elements::packed(side, *len),
    }
}
