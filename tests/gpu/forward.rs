//! Forward on two buffers is the reference's dropout, bit for bit.

use crate::battery;
use crate::case::Case;
use crate::run::{Direction, Layout, Way};

const WAY: Way = Way::new(Layout::Separate, Direction::Forward);

pub const CASES: &[Case] = &[
    Case::new("lengths", |gpu| battery::lengths(gpu, WAY)),
    Case::new("rates", |gpu| battery::rates(gpu, WAY)),
    Case::new("long", |gpu| battery::long(gpu, WAY)),
];
