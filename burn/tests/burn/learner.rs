//! The layer in a model that Burn's own `Learner` trains.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::data::dataloader::{DataLoader, DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, Param};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{
    ExecutionStrategy, InferenceStep, Learner, MultiDeviceOptim, RegressionOutput,
    SupervisedTraining, TrainOutput, TrainStep,
};
use wgpu_dropout::DropoutCall;
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, TrainingRun};

use crate::Case;
use crate::independence::assert_independent;
use crate::oracle::devices;

pub const CASES: &[Case] = &[
    (
        "one_line_is_independent_masks",
        one_line_is_independent_masks,
    ),
    ("a_checkpoint_has_the_step", a_checkpoint_has_the_step),
    (
        "several_devices_are_the_same_each_time",
        several_devices_are_the_same_each_time,
    ),
];

const LEN: usize = 1 << 12;
/// Number of items in the data set. A batch has one item, and the devices share the batches.
const ITEMS: usize = 4;

/// A call, and the mask that it made.
type Applied = (DropoutCall, Vec<f32>);
/// The calls and masks of each device, in the order of its calls.
type Masks = BTreeMap<String, Vec<Applied>>;

#[derive(Module, Debug)]
struct Model {
    weight: Param<Tensor<2>>,
    dropout: FusedDropout,
    #[module(skip)]
    masks: Arc<Mutex<Masks>>,
}

impl Model {
    fn new(device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([1, LEN], device)),
            dropout: FusedDropoutConfig::new(0.5).init(),
            masks: Arc::default(),
        }
    }

    fn forward(&self, input: Tensor<2>) -> RegressionOutput {
        let output = input.clone() * self.weight.val();
        RegressionOutput::new((output.clone() - 1.0).powi_scalar(2).mean(), output, input)
    }
}

impl TrainStep for Model {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, input: Tensor<2>) -> TrainOutput<RegressionOutput> {
        let device = format!("{:?}", input.device().inner());
        let dropped = [(); 2].map(|()| {
            let dropped = self.dropout.forward(input.clone());
            let mask = dropped.clone().into_data().try_to_vec().unwrap();
            let applied = (self.dropout.call().unwrap(), mask);
            let mut masks = self.masks.lock().unwrap();
            masks.entry(device.clone()).or_default().push(applied);
            dropped
        });
        let [first, second] = dropped;
        let output = self.forward(first + second);
        TrainOutput::new(self, output.loss.clone().backward(), output)
    }
}

impl InferenceStep for Model {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, input: Tensor<2>) -> RegressionOutput {
        self.forward(self.dropout.forward(input))
    }
}

struct Ones;

impl Batcher<(), Tensor<2>> for Ones {
    fn batch(&self, _items: Vec<()>, device: &Device) -> Tensor<2> {
        Tensor::ones([1, LEN], device)
    }
}

fn loader() -> Arc<dyn DataLoader<Tensor<2>>> {
    let items = InMemDataset::new(vec![(); ITEMS]);
    DataLoaderBuilder::new(Ones).batch_size(1).build(items)
}

/// Trains on `devices` from the end of epoch `from` to the end of epoch `to`. A step has 2
/// micro-batches.
fn train(
    run: &TrainingRun,
    scheduler: impl Into<ModuleLrScheduler>,
    folder: &Path,
    devices: &[Device],
    [from, to]: [usize; 2],
) -> Masks {
    let devices: Vec<Device> = devices.iter().map(|d| d.clone().autodiff()).collect();
    let model = run.build(|| Model::new(&devices[0]));
    let masks = model.masks.clone();
    let strategy = match &devices[..] {
        [device] => ExecutionStrategy::SingleDevice(device.clone()),
        _ => ExecutionStrategy::MultiDevice(devices, MultiDeviceOptim::OptimMainDevice),
    };
    let mut training = SupervisedTraining::new(folder, loader(), loader())
        .with_training_strategy(strategy.into())
        .num_epochs(to)
        .grads_accumulation(2)
        .with_default_checkpointers()
        .with_metric_logger(InMemoryMetricLogger::new())
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .with_application_logger(None);
    if from > 0 {
        training = training.checkpoint(from);
    }
    let result = training.launch(Learner::new(model, SgdConfig::new().init(), scheduler));
    assert!(result.error.is_none(), "{:?}", result.error);
    let masks = masks.lock().unwrap();
    masks.clone()
}

fn masks(masks: Masks) -> Vec<Vec<f32>> {
    let applied = masks.into_values().flatten();
    applied.map(|(_, mask)| mask).collect()
}

fn one_line_is_independent_masks(device: &Device) {
    let folder = tempfile::tempdir().unwrap();
    let devices = [device.clone()];
    let run = TrainingRun::default();
    let masks = train(&run, 1e-3, folder.path(), &devices, [0, 2]);
    let masks = self::masks(masks);
    // The product of epochs, batches and calls per batch. Validation drops nothing.
    assert_eq!(masks.len(), 2 * ITEMS * 2);
    assert_independent(&masks);
    assert_eq!(run.step(), 0);
}

/// Trains four epochs without a break, and four epochs with a break in the middle, after which
/// another run resumes.
fn a_checkpoint_has_the_step(device: &Device) {
    let [whole, halves] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let devices = [device.clone()];
    let counted = |run: &TrainingRun, folder: &Path, epochs| {
        train(run, run.count_steps(1e-3), folder, &devices, epochs)
    };
    let run = TrainingRun::new(5);
    let unbroken = counted(&run, whole.path(), [0, 4]);
    let unbroken = masks(unbroken);
    // A step has two micro-batches.
    assert_eq!(run.step(), 4 * ITEMS as u32 / 2);

    counted(&TrainingRun::new(5), halves.path(), [0, 2]);
    let resumed = TrainingRun::new(6);
    let second_half = counted(&resumed, halves.path(), [2, 4]);
    assert_eq!(masks(second_half), unbroken[2 * ITEMS * 2..]);
    assert_eq!((resumed.seed(), resumed.step()), (5, run.step()));

    // The negative control: without `count_steps` the second half begins with the masks of the
    // first.
    let forgetful = train(&TrainingRun::new(5), 1e-3, halves.path(), &devices, [2, 4]);
    let forgetful = masks(forgetful);
    assert_ne!(forgetful, unbroken[2 * ITEMS * 2..]);
    assert_eq!(forgetful[0], unbroken[0]);
}

/// Compares calls instead of masks, since on two wgpu devices of Mesa 22.3, Burn 0.22.1 at times
/// reads a batch before it is written, even without dropout.
fn several_devices_are_the_same_each_time(device: &Device) {
    let devices = devices(device);
    if devices.len() == 1 {
        return;
    }
    let calls = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let run = TrainingRun::new(seed);
        let scheduler = run.count_steps(1e-3);
        let applied = train(&run, scheduler, folder.path(), &devices[..2], [0, 2]);
        let calls = |applied: Vec<Applied>| applied.into_iter().map(|(call, _)| call).collect();
        let calls: Vec<Vec<DropoutCall>> = applied.into_values().map(calls).collect();
        calls
    };
    let first = calls(5);
    let mut keys: Vec<String> = first.iter().flatten().map(ToString::to_string).collect();
    // The product of epochs, batches and calls per batch.
    assert_eq!((first.len(), keys.len()), (2, 2 * ITEMS * 2));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2 * ITEMS * 2);
    for _ in 0..3 {
        assert_eq!(calls(5), first);
    }
    assert_ne!(calls(6), first);
}
