//! The device that is audited, and its kernels by the features that they use.

use std::sync::{Mutex, PoisonError};

use super::run::{MARGIN_WORDS, Run, Work};
use crate::params::MaskParams;
use crate::source::{Multiply, ParamsSource};
use crate::{
    CreateError, Dropout, GaussianDropout, KeepMask, KernelDescriptor, PhiloxBlocks,
};

/// A device.
pub(super) struct Gpu<'a> {
    pub device: &'a wgpu::Device,
    pub queue: &'a wgpu::Queue,
    /// By what they are for and the features that they avoid.
    made: Mutex<Vec<(Kind, wgpu::Features, Target)>>,
}

/// Kernels.
pub(super) enum Target {
    Dropout(Dropout),
    Gaussian(GaussianDropout),
    KeepMask(KeepMask),
    Blocks(PhiloxBlocks),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dropout,
    Gaussian,
    KeepMask,
    Blocks(u32),
}

impl Kind {
    fn of(work: &Work) -> Self {
        match *work {
            Work::Dropout { .. } => Self::Dropout,
            Work::Gaussian { .. } => Self::Gaussian,
            Work::KeepMask(_) => Self::KeepMask,
            Work::Blocks { rounds, .. } => Self::Blocks(rounds),
        }
    }
}

impl<'a> Gpu<'a> {
    pub fn new(device: &'a wgpu::Device, queue: &'a wgpu::Queue) -> Self {
        Self {
            device,
            queue,
            made: Mutex::default(),
        }
    }

    pub fn multiplies_by_u64(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_INT64)
    }

    /// How it can multiply, and be told parameters, if features are left unused; its own way first.
    pub fn ways(&self) -> impl Iterator<Item = (Multiply, ParamsSource)> {
        let immediate_bytes = self.device.limits().max_immediate_size as usize;
        let has_immediates = self.device.features().contains(wgpu::Features::IMMEDIATES)
            && immediate_bytes >= size_of::<MaskParams>();
        let multiplies = [Multiply::U64, Multiply::Halves];
        let params = [ParamsSource::Immediates, ParamsSource::Uniform];
        let multiplies = &multiplies[usize::from(!self.multiplies_by_u64())..];
        let params = &params[usize::from(!has_immediates)..];
        let ways = |multiply: &Multiply| params.iter().map(|params| (*multiply, *params)).collect::<Vec<_>>();
        multiplies.iter().flat_map(ways).collect::<Vec<_>>().into_iter()
    }

    /// The kernels for a run.
    pub fn target(&self, run: &Run) -> Result<Target, CreateError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = Kind::of(&run.work);
        let place = made
            .iter()
            .position(|(other, avoid, _)| (*other, *avoid) == (kind, run.avoid));
        let place = match place {
            Some(place) => place,
            None => {
                made.push((kind, run.avoid, self.make(kind, run.avoid)?));
                made.len() - 1
            }
        };
        Ok(made[place].2.lowered(run))
    }

    fn make(&self, kind: Kind, avoid: wgpu::Features) -> Result<Target, CreateError> {
        let descriptor = KernelDescriptor {
            label: Some("wgpu-dropout audit"),
            avoid,
            ..Default::default()
        };
        let (device, descriptor) = (self.device, &descriptor);
        Ok(match kind {
            Kind::Dropout => Target::Dropout(Dropout::new(device, descriptor)?),
            Kind::Gaussian => Target::Gaussian(GaussianDropout::new(device, descriptor)?),
            Kind::KeepMask => Target::KeepMask(KeepMask::new(device, descriptor)?),
            Kind::Blocks(rounds) => {
                Target::Blocks(PhiloxBlocks::new(device, descriptor, rounds)?)
            }
        })
    }

    /// Lets go of all pipelines.
    pub fn forget(&self) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Target {
    /// With the limits and the room of `run`, and the same pipelines.
    fn lowered(&self, run: &Run) -> Self {
        let granules = run.granules.unwrap_or(u64::MAX);
        let room_bytes = if run.has_room {
            4 * MARGIN_WORDS as u64
        } else {
            0
        };
        match self {
            Self::Dropout(kernels) => Self::Dropout(kernels.lowered(granules, room_bytes)),
            Self::Gaussian(kernels) => Self::Gaussian(kernels.lowered(granules, room_bytes)),
            Self::KeepMask(kernels) => Self::KeepMask(kernels.lowered(granules, room_bytes)),
            Self::Blocks(kernels) => Self::Blocks(kernels.lowered(granules, room_bytes)),
        }
    }
}
