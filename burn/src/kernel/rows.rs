//! Rows of a tensor, of which a workgroup takes several, and sums over a row.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use wgpu_dropout::ElementType;

use super::groups::{Draw, GROUP, GROUPS, keep_groups};
use super::mask::Mask;

/// The most invocations of a workgroup.
const MAX_LANES: u32 = 256;

/// The division of rows among invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rows {
    pub element: ElementType,
    pub draw: Draw,
    /// Invocations of a row, a power of two.
    pub lanes: u32,
    /// True if an invocation has four groups at most, whose decisions fit a `u32`.
    pub is_short: bool,
}

impl Rows {
    pub fn new(columns: u32, element: ElementType, draw: Draw) -> Self {
        let in_span = GROUP * GROUPS;
        let lanes = columns.div_ceil(in_span).min(MAX_LANES).next_power_of_two();
        Self {
            element,
            draw,
            lanes,
            is_short: columns <= in_span * lanes,
        }
    }

    /// Invocations in a workgroup. They are few if rows are short, since all of a workgroup wait at
    /// each of its barriers.
    pub fn workgroup_size(self) -> u32 {
        self.lanes.max(64)
    }
}

/// An invocation's row, and its number in this row.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Place {
    pub row: u32,
    /// The invocation's number among those of its row.
    pub lane: u32,
    /// True if the tensor has this row. Invocations without a row still take part in sums.
    pub is_row: bool,
}

#[cube]
pub(crate) fn place(count: u32, #[comptime] rows: Rows) -> Place {
    let size = comptime!(rows.workgroup_size());
    let in_workgroup = comptime!(size / rows.lanes);
    let row = (CUBE_POS as u32) * in_workgroup + UNIT_POS / comptime!(rows.lanes);
    Place {
        row,
        lane: UNIT_POS % comptime!(rows.lanes),
        is_row: row < count,
    }
}

/// A vector of a row.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct RowVector {
    /// Its first column.
    pub column: u32,
    /// Its number among the vectors of a row.
    pub in_row: usize,
    /// Its number among the vectors of the tensor.
    pub index: usize,
    /// The place of its first element among the decisions of the span.
    pub bit: u32,
}

/// An invocation's span of a row. A loop over it visits the vectors that the row has.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Span {
    place: Place,
    number: u32,
    columns: u32,
    #[cube(comptime)]
    width: u32,
    #[cube(comptime)]
    rows: Rows,
}

#[cube]
pub(crate) fn vectors<N: Size>(
    place: Place,
    number: u32,
    columns: u32,
    #[comptime] rows: Rows,
) -> Span {
    let width = N::value();
    Span {
        place,
        number,
        columns,
        width: comptime!(width as u32),
        rows: comptime!(rows),
    }
}

#[cube]
fn vector_of(span: Span, g: u32, #[comptime] v: u32) -> RowVector {
    let width = comptime!(span.width);
    let column = column_of(span.place, span.number, g, comptime!(span.rows)) + comptime!(v * width);
    RowVector {
        column,
        in_row: (column / width) as usize,
        index: ((span.place.row * span.columns + column) / width) as usize,
        bit: GROUP * g + comptime!(v * width),
    }
}

#[cube]
fn has(span: Span, column: u32) -> bool {
    span.place.is_row && column < span.columns
}

impl IntoIterator for Span {
    type Item = RowVector;
    type IntoIter = core::iter::Empty<RowVector>;

    fn into_iter(self) -> Self::IntoIter {
        cubecl::unexpanded!()
    }
}

impl Iterable for SpanExpand {
    type Item = RowVectorExpand;

    fn expand(self, scope: &Scope, body: &mut dyn FnMut(&Scope, RowVectorExpand)) {
        let groups = RangeExpand::new(0u32.into_expand(scope), GROUPS.into_expand(scope));
        groups.expand(scope, &mut |scope, g| {
            for v in 0..GROUP / self.width {
                let vector = vector_of::expand(scope, self, g, v);
                let has = has::expand(scope, self, vector.column);
                if_expand(scope, has, |scope| body(scope, vector));
            }
        });
    }

    fn expand_unroll(self, scope: &Scope, body: &mut dyn FnMut(&Scope, RowVectorExpand)) {
        // The vectors of a group are unrolled; the groups need not be.
        self.expand(scope, body);
    }
}

/// The first column of group `g`, 0 to 3, in the invocation's span number `span`.
#[cube]
pub(crate) fn column_of(place: Place, span: u32, g: u32, #[comptime] rows: Rows) -> u32 {
    let group = (span * GROUPS + g) * comptime!(rows.lanes) + place.lane;
    group * GROUP
}

/// The largest number of spans that an invocation has. A span is GROUPS groups of a row, which are
/// drawn together.
#[cube]
pub(crate) fn spans(columns: u32, #[comptime] rows: Rows) -> u32 {
    if comptime!(rows.is_short) {
        1u32.runtime()
    } else {
        let in_span = comptime!(rows.lanes * GROUP * GROUPS);
        columns.div_ceil(in_span)
    }
}

/// The decisions of a span's groups, one byte for each.
#[cube]
pub(crate) fn keep_span(
    mask: &Mask,
    place: Place,
    span: u32,
    columns: u32,
    #[comptime] rows: Rows,
) -> u32 {
    let start = place.row * columns;
    let a = start + column_of(place, span, 0u32, rows);
    let b = start + column_of(place, span, 1u32, rows);
    let c = start + column_of(place, span, 2u32, rows);
    let d = start + column_of(place, span, 3u32, rows);
    keep_groups(mask, a, b, c, d, rows.draw)
}

/// The sum of `own` over the invocations of a row. All invocations of a workgroup must call this,
/// since it has barriers.
#[cube]
pub(crate) fn row_sum(
    own: f32,
    place: Place,
    memory: &mut Shared<[f32]>,
    #[comptime] rows: Rows,
) -> f32 {
    folded(own, place, memory, false, rows)
}

/// The largest `own` of the invocations of a row. All invocations of a workgroup must call this
/// too.
#[cube]
pub(crate) fn row_max(
    own: f32,
    place: Place,
    memory: &mut Shared<[f32]>,
    #[comptime] rows: Rows,
) -> f32 {
    folded(own, place, memory, true, rows)
}

/// Combines the values in a tree. Its order depends only on the number of columns.
#[cube]
fn folded(
    own: f32,
    place: Place,
    memory: &mut Shared<[f32]>,
    #[comptime] is_max: bool,
    #[comptime] rows: Rows,
) -> f32 {
    if comptime!(rows.lanes == 1) {
        own
    } else {
        let unit = UNIT_POS;
        memory[unit as usize] = own;
        sync_cube();
        let levels = comptime!(rows.lanes.ilog2());
        #[unroll]
        for level in 0..levels {
            let step = comptime!(rows.lanes >> (level + 1));
            if place.lane < step {
                let first = memory[unit as usize];
                let second = memory[(unit + step) as usize];
                memory[unit as usize] = if comptime!(is_max) {
                    max(first, second)
                } else {
                    first + second
                };
            }
            sync_cube();
        }
        let total = memory[(unit - place.lane) as usize];
        // All invocations read the total before a later call overwrites the memory.
        sync_cube();
        total
    }
}
