//! How a case's elements are bound.

use wgpu_dropout::Elements;

use crate::common::add::Source;

/// How ranges lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    Separate,
    Pooled,
    /// A result over a range that is read.
    InPlace,
}

pub const LAYOUTS: [Layout; 3] = [Layout::Separate, Layout::Pooled, Layout::InPlace];

/// The elements of a source, whose ids or mask lie in `side`.
pub fn elements<'a>(source: &'a Source, side: wgpu::BufferBinding<'a>) -> Elements<'a> {
    match source {
        Source::Len(len) => Elements::from(*len),
        Source::Layout(layout) => Elements::from(layout),
        Source::Samples(layout, _) => Elements::samples(layout, side),
        Source::Packed(_, len) => Elements::packed(side, *len),
    }
}
