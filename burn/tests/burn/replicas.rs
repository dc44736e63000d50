//! A program has the same masks each time it runs: on several devices, in several threads, and
//! resumed in the middle.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, StepCounter, TrainingRun};

use crate::oracle::{assert_bits, devices, tensor, values};
use crate::{Case, log};

pub const CASES: &[Case] = &[
    ("a_model_built_twice", a_model_built_twice),
    ("models_built_in_two_threads", models_built_in_two_threads),
    ("flex_and_a_gpu_alike", flex_and_a_gpu_alike),
    ("workers_of_one_optimizer", workers_of_one_optimizer),
    (
        "workers_with_optimizers_of_their_own",
        workers_with_optimizers_of_their_own,
    ),
    (
        "listed_devices_are_numbered_by_place",
        listed_devices_are_numbered_by_place,
    ),
    ("resuming_is_as_not_stopping", resuming_is_as_not_stopping),
    (
        "a_record_without_a_step_is_step_0",
        a_record_without_a_step_is_step_0,
    ),
];

const LEN: usize = 1000;
const STEPS: usize = 3;
const RUNS: usize = 20;

type Model = [FusedDropout; 2];
/// The masks of each device, in the order of its calls.
type Masks = BTreeMap<usize, Vec<Vec<f32>>>;

fn model(run: &TrainingRun) -> Model {
    run.build(|| [0.5; 2].map(|prob| FusedDropoutConfig::new(prob).init()))
}

/// Runs two micro-batches. Each calls the second layer twice.
fn step(model: &Model, device: &Device) -> Vec<Vec<f32>> {
    let mask = |layer: &FusedDropout| {
        let ones = Tensor::<1>::ones([LEN], &device.clone().autodiff());
        layer.forward(ones).into_data().try_to_vec().unwrap()
    };
    let layers = [0, 1, 1, 0, 1, 1];
    layers.map(|layer: usize| mask(&model[layer])).into()
}

fn steps(run: &TrainingRun, device: &Device) -> Vec<Vec<f32>> {
    let model = model(run);
    let step = |n| {
        run.set_step(n);
        step(&model, device)
    };
    (0..STEPS as u32).flat_map(step).collect()
}

fn all_differ(masks: &[Vec<f32>]) -> bool {
    (0..masks.len()).all(|i| !masks[..i].contains(&masks[i]))
}

fn a_model_built_twice(device: &Device) {
    let first = steps(&TrainingRun::new(5), device);
    assert!(all_differ(&first));
    assert_eq!(steps(&TrainingRun::new(5), device), first);
    assert_ne!(steps(&TrainingRun::new(6), device), first);
}

fn models_built_in_two_threads(device: &Device) {
    let alone = [5, 6].map(|seed| steps(&TrainingRun::new(seed), device));
    let together = thread::scope(|scope| {
        [5, 6]
            .map(|seed| scope.spawn(move || steps(&TrainingRun::new(seed), device)))
            .map(|thread| thread.join().unwrap())
    });
    assert_eq!(together, alone);
    assert_ne!(alone[0], alone[1]);
}

/// A run has the same masks on one device as on another.
fn flex_and_a_gpu_alike(device: &Device) {
    let input = values::<f32>(LEN);
    let outputs = |seed, device: &Device| {
        let model = model(&TrainingRun::new(seed));
        let x = || tensor(&input, [LEN], &device.clone().autodiff());
        [0, 0, 1].map(|layer: usize| model[layer].forward(x()))
    };
    let flex = outputs(5, &Device::flex()).map(|output| output.into_data().try_to_vec().unwrap());
    for (output, expected) in outputs(5, device).into_iter().zip(&flex) {
        assert_bits::<f32, 1>(output, expected);
    }
    let other = outputs(6, device).map(|output| output.into_data().try_to_vec::<f32>().unwrap());
    assert_ne!(other, flex);
}

/// Works as Burn's `Learner` does on several devices. The model is forked to the first device, and
/// the workers fork it again for each batch. The optimizer steps after all workers are done.
fn one_optimizer(seed: u64, devices: &[Device]) -> Masks {
    let run = TrainingRun::new(seed);
    let model = model(&run).fork(&devices[0].clone().autodiff());
    let mut scheduler = run.count_steps(1e-3);
    let masks = Mutex::new(Masks::new());
    for _ in 0..STEPS {
        thread::scope(|scope| {
            for (n, device) in devices.iter().enumerate() {
                let (model, masks) = (&model, &masks);
                scope.spawn(move || {
                    let fork = model.clone().fork(&device.clone().autodiff());
                    let step = step(&fork, device);
                    masks.lock().unwrap().entry(n).or_default().extend(step);
                });
            }
        });
        scheduler.step();
    }
    masks.into_inner().unwrap()
}

fn workers_of_one_optimizer(device: &Device) {
    let devices = devices(device);
    assert_same_each_run(|seed| one_optimizer(seed, &devices));
    // The first device is replica 0, as it is when it trains alone.
    let alone = steps(&TrainingRun::new(5), &devices[0]);
    assert_eq!(one_optimizer(5, &devices)[&0], alone);
}

/// Works as Burn's `Learner` does for distributed training. Each worker forks the model and clones
/// the scheduler, and no worker waits for another.
fn own_optimizers(seed: u64, devices: &[Device]) -> Masks {
    let run = TrainingRun::new(seed);
    let model = model(&run);
    let scheduler = run.count_steps(1e-3);
    thread::scope(|scope| {
        let worker = |(n, device)| {
            let (model, mut scheduler): (Model, StepCounter<f64>) =
                (model.clone(), scheduler.clone());
            let worker = scope.spawn(move || {
                let device: &Device = device;
                let model = model.fork(&device.clone().autodiff());
                let mut masks = Vec::new();
                for _ in 0..STEPS {
                    masks.extend(step(&model, device));
                    scheduler.step();
                }
                masks
            });
            (n, worker)
        };
        let workers: Vec<_> = devices.iter().enumerate().map(worker).collect();
        let join = workers
            .into_iter()
            .map(|(n, worker)| (n, worker.join().unwrap()));
        join.collect()
    })
}

fn workers_with_optimizers_of_their_own(device: &Device) {
    let devices = devices(device);
    assert_same_each_run(|seed| own_optimizers(seed, &devices));
}

/// Fails unless all masks of a run differ, another seed gives other masks, and `RUNS` runs agree.
#[track_caller]
fn assert_same_each_run(masks: impl Fn(u64) -> Masks) {
    let first = masks(5);
    let all: Vec<Vec<f32>> = first.values().flatten().cloned().collect();
    assert!(all_differ(&all));
    assert_ne!(masks(6), first);
    for _ in 1..RUNS {
        assert_eq!(masks(5), first);
    }
}

fn listed_devices_are_numbered_by_place(device: &Device) {
    let mut devices = devices(device);
    let masks = |devices: &[Device]| {
        let run = TrainingRun::new(5);
        run.set_devices(devices).unwrap();
        let model = model(&run);
        let each = devices.iter().map(|device| step(&model, device));
        each.collect::<Vec<_>>()
    };
    let first = masks(&devices);
    assert!(all_differ(&first.concat()));
    devices.reverse();
    assert_eq!(masks(&devices), first);
}

fn train(model: &Model, scheduler: &mut impl LrScheduler, device: &Device) -> Vec<Vec<f32>> {
    let step = |_| {
        let masks = step(model, device);
        scheduler.step();
        masks
    };
    (0..STEPS).flat_map(step).collect()
}

/// A new run, as in another process, goes on with the second half. It begins with another seed.
fn resuming_is_as_not_stopping(device: &Device) {
    let run = TrainingRun::new(5);
    let before = model(&run);
    let mut scheduler = run.count_steps(1e-3);
    let first_half = train(&before, &mut scheduler, device);
    let saved = scheduler.to_record().into_bytes().unwrap();
    let second_half = train(&before, &mut scheduler, device);
    assert_ne!(second_half, first_half);

    let resume = |loads| {
        let run = TrainingRun::new(6);
        let model = model(&run);
        let mut scheduler = run.count_steps(1e-3);
        if loads {
            let record = LrSchedulerRecord::from_bytes(saved.clone()).unwrap();
            scheduler.load_record(record);
            assert_eq!((run.seed(), run.step()), (5, STEPS as u32));
        }
        train(&model, &mut scheduler, device)
    };
    assert_eq!(resume(true), second_half);
    assert_ne!(resume(false), second_half);
}

fn a_record_without_a_step_is_step_0(_: &Device) {
    let run = TrainingRun::new(5);
    run.set_step(9);
    let mut scheduler = run.count_steps(1e-3);
    assert_eq!(scheduler.step(), 1e-3);
    assert_eq!(run.step(), 10);
    log::take();
    scheduler.load_record(1e-3.to_record());
    assert_eq!((run.seed(), run.step()), (5, 0));
    let lines = log::take();
    assert!(lines[0].starts_with("WARN the scheduler's record has no dropout_step"));
    assert!(lines[0].contains("step 0 of seed 5"));
    scheduler.step();
    assert_eq!(run.step(), 1);
}
