//! Two ranges of one buffer give the same bits as two buffers.

use crate::case::Case;
use crate::run::{Direction, Layout, Mode};
use crate::sweeps;

const MODE: Mode = Mode::new(Layout::Pooled, Direction::Forward);

pub const CASES: &[Case] = &[
    Case::new("lengths", |gpu| sweeps::lengths(gpu, MODE)),
    Case::new("rates", |gpu| sweeps::rates(gpu, MODE)),
    Case::new("long", |gpu| sweeps::long(gpu, MODE)),
];
