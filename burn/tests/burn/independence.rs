//! Every call of a layer that drops has a mask of its own, in whichever way the second call is
//! made.
//!
//! At p = 0.5 two independent masks make p^2 + (1 - p)^2 = 1/2 of their decisions alike.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, TrainingRun};

use crate::Case;
use crate::oracle::devices;

pub const CASES: &[Case] = &[
    ("of_two_calls", of_two_calls),
    ("of_micro_batches", of_micro_batches),
    ("of_a_clone", of_a_clone),
    ("of_a_fork", of_a_fork),
    ("of_layers_in_a_vec", of_layers_in_a_vec),
    ("of_two_layers", of_two_layers),
    ("of_replicas", of_replicas),
    ("of_one_mask_is_none", of_one_mask_is_none),
];

const LEN: usize = 1 << 20;

fn layer() -> FusedDropout {
    TrainingRun::new(1).build(|| FusedDropoutConfig::new(0.5).init())
}

fn mask(layer: &FusedDropout, device: &Device) -> Vec<f32> {
    let ones = Tensor::<1>::ones([LEN], &device.clone().autodiff());
    layer.forward(ones).into_data().try_to_vec().unwrap()
}

/// The share of elements for which two masks decide alike.
fn alike(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let alike = a.iter().zip(b).filter(|&(a, b)| (*a == 0.0) == (*b == 0.0));
    alike.count() as f64 / a.len() as f64
}

/// Every two masks agree in a half of their decisions, within 5 standard deviations.
#[track_caller]
pub fn assert_independent(masks: &[Vec<f32>]) {
    assert!(masks.len() > 1);
    let bound = 5.0 * (0.25 / masks[0].len() as f64).sqrt();
    for (i, mask) in masks.iter().enumerate() {
        for (j, other) in masks[..i].iter().enumerate() {
            let share = alike(mask, other);
            assert!(
                (share - 0.5).abs() < bound,
                "masks {j} and {i} decide {share:.5} alike"
            );
        }
    }
}

fn of_two_calls(device: &Device) {
    let layer = layer();
    assert_independent(&[mask(&layer, device), mask(&layer, device)]);
}

/// Several micro-batches run forward and backward before one step of the optimizer. The gradient
/// must have the mask of its forward pass.
fn of_micro_batches(device: &Device) {
    let layer = layer();
    let micro_batch = |_| {
        let x = Tensor::<1>::ones([LEN], &device.clone().autodiff()).require_grad();
        let gradients = layer.forward(x.clone()).backward();
        let gradient = x.grad(&gradients).unwrap();
        gradient.into_data().try_to_vec().unwrap()
    };
    let masks: Vec<Vec<f32>> = (0..3).map(micro_batch).collect();
    assert_independent(&masks);
}

fn of_a_clone(device: &Device) {
    let layer = layer();
    let clone = layer.clone();
    assert_independent(&[mask(&layer, device), mask(&clone, device)]);
}

/// A layer and its fork on the same device.
fn of_a_fork(device: &Device) {
    let layer = layer();
    let fork = layer.clone().fork(&device.clone().autodiff());
    assert_independent(&[mask(&layer, device), mask(&fork, device)]);
}

fn of_layers_in_a_vec(device: &Device) {
    let layers = vec![layer(); 2];
    assert_independent(&[mask(&layers[0], device), mask(&layers[1], device)]);
}

fn of_two_layers(device: &Device) {
    let build = || [0.5; 2].map(|prob| FusedDropoutConfig::new(prob).init());
    let layers = TrainingRun::new(1).build(build);
    assert_independent(&layers.map(|layer| mask(&layer, device)));
}

/// The first call on each device, in the same step.
fn of_replicas(device: &Device) {
    let layer = layer();
    let devices = devices(device);
    let replica = |device: &Device| {
        let fork = layer.clone().fork(&device.clone().autodiff());
        mask(&fork, device)
    };
    let masks: Vec<Vec<f32>> = devices.iter().map(replica).collect();
    // Flex alone has no second device.
    if masks.len() > 1 {
        assert_independent(&masks);
    }
}

/// The negative control of all other cases: the same call, twice.
fn of_one_mask_is_none(device: &Device) {
    let layer = layer();
    let first = mask(&layer, device);
    let again = layer.forward_with(Tensor::<1>::ones([LEN], device), &layer.call().unwrap());
    let again: Vec<f32> = again.unwrap().into_data().try_to_vec().unwrap();
    assert_eq!(alike(&first, &again), 1.0);
    // The bound is narrow: it sees two masks in which every hundredth element was made equal.
    let mut near = mask(&layer, device);
    let every_hundredth = near.iter_mut().zip(&first).step_by(100);
    every_hundredth.for_each(|(near, first)| *near = *first);
    assert!((alike(&first, &near) - 0.5).abs() > 5.0 * (0.25 / LEN as f64).sqrt());
}
