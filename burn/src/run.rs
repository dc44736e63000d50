//! The seed, the step and the counts of calls that the layers of a model share.

use core::fmt;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use burn::backend::DeviceOps;
use burn::tensor::Device;
use wgpu_dropout::MaskKey;

use crate::error::DropoutError;

/// The run of layers that are built outside [`TrainingRun::build`].
static OF_THE_PROCESS: LazyLock<TrainingRun> = LazyLock::new(TrainingRun::default);

thread_local! {
    /// The runs whose `build` this thread is executing, the innermost last.
    static BUILDING: RefCell<Vec<TrainingRun>> = const { RefCell::new(Vec::new()) };
}

/// A training run: a seed, the current step, and the number of calls of each layer in this step.
///
/// A layer belongs to the run that is the [current](Self::current) one when the layer is built.
/// Clones of a run are handles of the same run.
///
/// The key of a call of [`FusedDropout::forward`](crate::FusedDropout::forward) is
/// `MaskKey::new(seed, 0)`, into which four numbers are folded one after the other (M21 of the mask
/// contract):
///
/// | number | is |
/// |---|---|
/// | layer | the layer's number in the run, from 0 in the order in which layers are built; the number of a [site](crate::FusedDropoutConfig::site) follows from its name |
/// | step | 0, or the number that [`set_step`](Self::set_step) or [`count_steps`](Self::count_steps) set |
/// | call | the call's number in the step, from 0 for each device; a layer, its clones and its forks count together |
/// | replica | the device's number: see [`set_devices`](Self::set_devices) |
///
/// The [log](::log) has a line with these numbers for each call, at level `trace`. When the first
/// call is made, the seed is logged at level `info`.
#[derive(Clone)]
pub struct TrainingRun(Arc<Mutex<State>>);

struct State {
    seed: u64,
    step: u32,
    /// The steps of the threads that count steps of their own.
    thread_steps: HashMap<ThreadId, u32>,
    /// The number of layers that were numbered so far.
    layers: u64,
    /// The thread that built the first layer. Only this thread makes a device replica 0. If any
    /// thread could, threads would race for it.
    home: Option<ThreadId>,
    /// Replica 0, while `devices` is empty.
    main: Option<Device>,
    devices: Vec<Device>,
    /// For each layer and replica, the step of the last call, and the number of calls in that step.
    calls: HashMap<(u64, u64), (u32, u64)>,
    is_in_log: bool,
}

impl TrainingRun {
    /// A run with this seed, at step 0. [`TrainingRun::default()`] takes its seed from the
    /// operating system.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            seed,
            step: 0,
            thread_steps: HashMap::new(),
            layers: 0,
            home: None,
            main: None,
            devices: Vec::new(),
            calls: HashMap::new(),
            is_in_log: false,
        })))
    }

    /// The run to which a layer belongs if this thread builds it now. Inside [`build`](Self::build)
    /// it is that run. Elsewhere it is the run of the process, whose seed comes from the operating
    /// system.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers.
    pub fn current() -> Self {
        let building = BUILDING.with_borrow(|runs| runs.last().cloned());
        building.unwrap_or_else(|| OF_THE_PROCESS.clone())
    }

    /// Calls `make`. The layers that it builds on this thread belong to this run. A second model in
    /// the process thus gets the layer numbers, and so the masks, that it would have alone.
    ///
    /// ```
    /// use wgpu_dropout_burn::{FusedDropoutConfig, TrainingRun};
    ///
    /// let build = || [0.1, 0.5].map(|prob| FusedDropoutConfig::new(prob).init());
    /// let [first, second] = [7, 7].map(|seed| TrainingRun::new(seed).build(build));
    /// assert_eq!(first[1].to_string(), second[1].to_string());
    /// ```
    pub fn build<T>(&self, make: impl FnOnce() -> T) -> T {
        /// Leaves the run also if `make` panics.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                BUILDING.with_borrow_mut(Vec::pop);
            }
        }
        BUILDING.with_borrow_mut(|runs| runs.push(self.clone()));
        let _leave = Leave;
        make()
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.state().seed
    }

    /// Begins the run anew, with `seed` and at step 0.
    pub fn set_seed(&self, seed: u64) {
        let mut state = self.state();
        state.seed = seed;
        state.set_step(0);
        state.calls.clear();
        state.is_in_log = false;
    }

    /// The step that this thread is at.
    pub fn step(&self) -> u32 {
        self.state().step()
    }

    /// Moves the run to `step` in all threads. If the step changes, calls are counted from 0 again.
    pub fn set_step(&self, step: u32) {
        self.state().set_step(step);
    }

    /// Sets the step of this thread alone.
    pub(crate) fn set_thread_step(&self, step: u32) {
        let mut state = self.state();
        state.thread_steps.insert(thread::current().id(), step);
    }

    /// Numbers the replicas: `devices[n]` is replica n.
    ///
    /// If no devices are set, the thread that built the first layer determines replica 0: the first
    /// device to which that thread forks a model, or on which it calls a layer. The number of any
    /// other device follows from Burn's id: `2^32 + type_id * 2^16 + index_id`. Masks are then the
    /// same in each run on the same devices, but not on other devices.
    ///
    /// # Errors
    ///
    /// [`DropoutError::SameDevice`] if a device is listed twice, since the calls of its two
    /// replicas would have the same keys.
    pub fn set_devices(&self, devices: &[Device]) -> Result<(), DropoutError> {
        for (second, device) in devices.iter().enumerate() {
            let before = &devices[..second];
            if let Some(first) = before.iter().position(|other| other == device) {
                return Err(DropoutError::SameDevice {
                    device: format!("{device:?}"),
                    first,
                    second,
                });
            }
        }
        self.state().devices = devices.to_vec();
        Ok(())
    }

    /// The number of the next layer.
    pub(crate) fn number_layer(&self) -> u64 {
        let mut state = self.state();
        state.layers += 1;
        state.layers - 1
    }

    /// Makes this thread the one that determines replica 0, unless another thread already is.
    pub(crate) fn claim_home(&self) {
        let id = || thread::current().id();
        self.state().home.get_or_insert_with(id);
    }

    /// Makes `device` replica 0 if there is none yet and this thread may determine it.
    pub(crate) fn claim_main(&self, device: &Device) {
        self.state().claim_main(device);
    }

    /// The key of the next call of `layer` on `device`. Calls that share a mask are not counted.
    pub(crate) fn next_key(
        &self,
        layer: u64,
        device: &Device,
        shares_mask: bool,
    ) -> Result<MaskKey, DropoutError> {
        let mut state = self.state();
        state.claim_main(device);
        let (seed, step, replica) = (state.seed, state.step(), state.replica(device));
        let call = if shares_mask {
            0
        } else {
            let (at, calls) = state.calls.entry((layer, replica)).or_default();
            if *at != step {
                (*at, *calls) = (step, 0);
            }
            *calls += 1;
            *calls - 1
        };
        let was_in_log = core::mem::replace(&mut state.is_in_log, true);
        drop(state);
        if !was_in_log {
            log::info!("dropout: seed {seed}, from step {step}");
        }
        log::trace!(
            "dropout: seed {seed}, layer {layer}, step {step}, call {call}, replica {replica}"
        );
        let numbers = [layer, u64::from(step), call, replica];
        let key = numbers
            .into_iter()
            .try_fold(MaskKey::new(seed, 0), MaskKey::fold_in);
        Ok(key?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned state is still valid: no code panics in the middle of a change to it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&self) -> u32 {
        let own = self.thread_steps.get(&thread::current().id());
        own.copied().unwrap_or(self.step)
    }

    fn set_step(&mut self, step: u32) {
        self.thread_steps.clear();
        if self.step != step {
            self.step = step;
            self.calls.clear();
        }
    }

    fn claim_main(&mut self, device: &Device) {
        if self.main.is_none() && self.home == Some(thread::current().id()) {
            self.main = Some(device.clone());
        }
    }

    fn replica(&self, device: &Device) -> u64 {
        let listed = self.devices.iter().position(|other| other == device);
        match listed {
            Some(place) => place as u64,
            None if self.devices.is_empty() && self.main.as_ref() == Some(device) => 0,
            None => {
                let id = device.as_dispatch().id();
                1 << 32 | u64::from(id.type_id) << 16 | u64::from(id.index_id)
            }
        }
    }
}

impl Default for TrainingRun {
    /// A run whose seed is from the operating system.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers; [`new`](Self::new) needs none.
    fn default() -> Self {
        let seed = getrandom::u64().unwrap_or_else(|error| {
            panic!("the system gave no seed: {error}; build the model in TrainingRun::new(seed)")
        });
        Self::new(seed)
    }
}

impl fmt::Debug for TrainingRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("TrainingRun")
            .field("seed", &state.seed)
            .field("step", &state.step())
            .finish_non_exhaustive()
    }
}
