//! A layer's number in its run, and its last call.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;
use wgpu_dropout::DropoutCall;

use crate::run::TrainingRun;

/// A layer's number and its run. This is a `Module`, so that Burn calls its `fork`. It has no
/// parameters, so records do not contain it.
#[derive(Clone, Debug)]
pub struct Site {
    pub number: u64,
    pub run: TrainingRun,
    /// The last call. Clones share it. Forks do not, since replicas run at the same time.
    last: Arc<Mutex<Option<DropoutCall>>>,
}

impl Site {
    /// The site of the next layer that is built in the current run, or the site called `name` in
    /// that run.
    pub fn new(name: Option<&str>) -> Self {
        let run = TrainingRun::current();
        run.claim_home();
        Self {
            number: name.map_or_else(|| run.number_layer(), number),
            run,
            last: Arc::default(),
        }
    }

    pub fn last(&self) -> Option<DropoutCall> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_last(&self, call: DropoutCall) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
    }
}

/// The number of the site `name`: 2^60 plus 60 bits of the name's 64-bit FNV-1a hash. Layers that
/// are counted have smaller numbers.
pub fn number(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    1 << 60 | hash >> 4
}

impl Module for Site {
    fn fork(self, device: &Device) -> Self {
        self.run.claim_main(device);
        Self {
            last: Arc::default(),
            ..self
        }
    }

    fn to_device(self, _device: &Device) -> Self {
        self
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, _visitor: &mut V) {}

    fn map<M: ModuleMapper>(self, _mapper: &mut M) -> Self {
        self
    }
}

impl ModuleDisplayDefault for Site {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.number).optional()
    }
}

impl ModuleDisplay for Site {}
