//! The device that is audited, and its kernels by the features that they use.

#[cfg(not(target_arch = "wasm32"))]
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

#[cfg(not(target_arch = "wasm32"))]
use super::Failure;
#[cfg(not(target_arch = "wasm32"))]
use super::kernels::kernels;
use super::kernels::{Candidate, candidates};
use super::work::{MARGIN_WORDS, Run, Work};
#[cfg(not(target_arch = "wasm32"))]
use crate::cpu::for_each_task;
#[cfg(not(target_arch = "wasm32"))]
use crate::host::device::{cut_limits, scoped};
use crate::host::driver;
use crate::kernel::axes::{BlockAccess, F16Conversion, Kernel, Multiply, ParamsSource, Way};
use crate::{
    CreateError, Direction, Dropout, DropoutAdd, DropoutKind, GaussianDropout, KeepMask,
    KernelDescriptor, ParameterPath, PhiloxBlocks,
};

/// The device, with its limits and the kernels made so far.
pub(super) struct Gpu<'a> {
    pub device: &'a wgpu::Device,
    pub queue: &'a wgpu::Queue,
    f16_conversions: bool,
    /// Kernels, by their purpose and by the features that they leave unused.
    made: Mutex<Vec<(Kind, wgpu::Features, Made)>>,
}

/// The kernels for a run.
pub(super) enum Target {
    Dropout(Dropout),
    Fused(DropoutAdd),
    Gaussian(GaussianDropout),
    KeepMask(KeepMask),
    Blocks(PhiloxBlocks),
}

/// The handle of kernels that many runs share.
enum Made {
    Dropout(Dropout),
    Fused(DropoutAdd),
    KeepMask(KeepMask),
    Blocks(PhiloxBlocks),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dropout,
    /// `wide`: the residual is of `f32`, the branch of a 16-bit type.
    Fused {
        wide: bool,
    },
    KeepMask,
    Blocks(u32),
}

impl Kind {
    fn of(work: &Work) -> Self {
        match *work {
            Work::Dropout { .. } => Self::Dropout,
            Work::Fused { .. } => Self::Fused {
                wide: work.stream() != work.element(),
            },
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
            f16_conversions: false,
            made: Mutex::default(),
        }
    }

    /// The same device with kernels that use its conversions of f16.
    pub fn with_f16_conversions(self) -> Self {
        Self {
            f16_conversions: true,
            ..self
        }
    }

    pub fn multiplies_by_u64(&self) -> bool {
        self.device
            .features()
            .contains(wgpu::Features::SHADER_INT64)
    }

    /// The ways in which the device can run kernels if some features are left unused. Its own way
    /// is first. They do not tell how it accesses blocks, since the product decides that.
    pub fn ways(&self) -> Vec<Way> {
        let path = ParameterPath::of(self.device.features(), &self.device.limits());
        let multiplies = [Multiply::U64, Multiply::Halves];
        let params = [ParamsSource::Immediates, ParamsSource::Uniform];
        let info = self.device.adapter_info();
        let own = driver::multiply(self.device.features(), &info.driver);
        let multiplies = &multiplies[usize::from(own == Multiply::Halves)..];
        let params = &params[usize::from(path != ParameterPath::Immediates)..];
        let ways = multiplies.iter().flat_map(|&multiply| {
            params.iter().map(move |&params| Way {
                multiply,
                params,
                blocks: BlockAccess::Vectors,
                f16: F16Conversion::Integers,
            })
        });
        ways.collect()
    }

    /// Every kernel that the device can dispatch, once for each kind and direction that chooses it.
    pub fn candidates(&self) -> Vec<Candidate> {
        let ways = self.ways();
        let all = candidates(&ways).filter(|candidate| self.binds(candidate.kernel));
        all.collect()
    }

    /// Returns true if the device has enough bindings for a kernel's buffers.
    pub fn binds(&self, kernel: Kernel) -> bool {
        let available = self.device.limits().max_storage_buffers_per_shader_stage;
        kernel.storage_buffers() <= available as usize
    }

    /// Compiles the kernels that `runs` dispatch, on all threads, since compiling takes nearly all
    /// of an audit's time.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn compile(&self, runs: &[Run]) -> Result<(), Failure> {
        // One thread at a time holds OpenGL's context; others give up after a second of waiting.
        if self.device.adapter_info().backend == wgpu::Backend::Gl {
            return Ok(());
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = cut_limits(self.device);
        let mut work = Vec::new();
        for run in runs {
            let place = self.place(&mut made, run)?;
            work.extend(
                kernels(run, limits)
                    .into_iter()
                    .map(|kernel| (place, kernel)),
            );
        }
        let mut seen = HashSet::new();
        work.retain(|kernel| seen.insert(*kernel));
        let host = |place: usize| match &made[place].2 {
            Made::Dropout(kernels) => &kernels.host,
            Made::Fused(kernels) => &kernels.host,
            Made::KeepMask(kernels) => &kernels.host,
            Made::Blocks(kernels) => &kernels.host,
        };
        let mut work: Vec<_> = work
            .into_iter()
            .map(|(place, kernel)| (host(place), kernel, None))
            .collect();
        for_each_task(&mut work, 1, |_, work| {
            for (host, kernel, error) in work {
                let ((), first) = scoped(&host.device, || host.compile(*kernel));
                *error = pollster::block_on(first);
            }
        });
        let error = work.into_iter().find_map(|(.., error)| error);
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The index in `made` of the kernels for a run.
    fn place(
        &self,
        made: &mut Vec<(Kind, wgpu::Features, Made)>,
        run: &Run,
    ) -> Result<usize, CreateError> {
        let kind = Kind::of(&run.work);
        let is_same = |(other, avoid, _): &(Kind, wgpu::Features, Made)| {
            (*other, *avoid) == (kind, run.avoid)
        };
        if let Some(place) = made.iter().position(is_same) {
            return Ok(place);
        }
        made.push((kind, run.avoid, self.make(kind, run.avoid)?));
        Ok(made.len() - 1)
    }

    /// The kernels for a run.
    pub fn target(&self, run: &Run) -> Result<Target, CreateError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.place(&mut made, run)?;
        Ok(made[place].2.lowered(run))
    }

    fn make(&self, kind: Kind, avoid: wgpu::Features) -> Result<Made, CreateError> {
        let descriptor = KernelDescriptor {
            label: Some("wgpu-dropout audit"),
            avoid,
            f16_conversions: self.f16_conversions,
            ..Default::default()
        };
        let (device, descriptor) = (self.device, &descriptor);
        Ok(match kind {
            Kind::Dropout => Made::Dropout(Dropout::new(device, descriptor)?),
            Kind::Fused { wide } => {
                let kernels = DropoutAdd::new(device, descriptor)?;
                Made::Fused(match wide {
                    true => kernels.with_f32_residual()?,
                    false => kernels,
                })
            }
            Kind::KeepMask => Made::KeepMask(KeepMask::new(device, descriptor)?),
            Kind::Blocks(rounds) => Made::Blocks(PhiloxBlocks::new(device, descriptor, rounds)?),
        })
    }

    /// Drops all pipelines.
    pub fn forget(&self) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Made {
    /// Lowers the limits as `run` asks, and makes room for stray stores, with the same pipelines.
    fn lowered(&self, run: &Run) -> Target {
        let granules = run.granules.unwrap_or(u64::MAX);
        let room_bytes = if run.has_room {
            4 * MARGIN_WORDS as u64
        } else {
            0
        };
        match self {
            Self::Dropout(kernels) => {
                let kernels = kernels.lowered(granules, room_bytes);
                let is_forward = matches!(
                    run.work,
                    Work::Dropout {
                        direction: Direction::Forward,
                        ..
                    }
                );
                if is_forward && run.call.kind == DropoutKind::Gaussian {
                    Target::Gaussian(GaussianDropout::of(kernels))
                } else {
                    Target::Dropout(kernels)
                }
            }
            Self::Fused(kernels) => Target::Fused(kernels.lowered(granules, room_bytes)),
            Self::KeepMask(kernels) => Target::KeepMask(kernels.lowered(granules, room_bytes)),
            Self::Blocks(kernels) => Target::Blocks(kernels.lowered(granules, room_bytes)),
        }
    }
}
