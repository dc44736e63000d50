//! Compares fused operations with separate passes and with finite differences. Checks that runs
//! repeat and resume bit for bit.

use std::collections::HashSet;
use std::env;

use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

use crate::mlp::State;
use crate::network::{Device, Network, Pair};
use crate::own_kernels;
use crate::text::Text;

const SEED: u64 = 7;

/// A device, or `None` without an adapter, so that the test passes unchecked. `REQUIRE_GPU` makes
/// that a failure.
fn open() -> Option<Device> {
    match Device::open() {
        Err(error) if env::var_os("REQUIRE_GPU").is_none() => {
            println!("skipped: {error:#}");
            None
        }
        device => Some(device.unwrap()),
    }
}

struct Run {
    network: Network,
    batches: Vec<Vec<Pair>>,
    rate: DropoutRate,
}

impl Run {
    /// A run with one sample in a step, since debug builds are slow.
    fn new(device: &Device, is_fused: bool, steps: u32) -> Self {
        let network = Network::new(device, 1, is_fused, 1e-3).unwrap();
        network.initialize(SEED).unwrap();
        let text = Text::sonnets();
        let batch = |step| text.batch(SEED, step, 1).unwrap();
        Self {
            network,
            batches: (0..steps).map(batch).collect(),
            rate: DropoutRate::new(0.2).unwrap(),
        }
    }

    /// The losses from step `first` to the last. `later` shifts the steps whose masks are used.
    fn losses(&self, first: u32, later: u32) -> Vec<f64> {
        let key = |i, step| MaskKey::layer_step(SEED, i, step + later);
        let batches = &self.batches[first as usize..];
        self.network.train(batches, first, self.rate, key).unwrap()
    }
}

/// The largest relative difference of two losses.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs() / a.abs());
    differences.fold(0.0, f64::max)
}

fn norm(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|number| number * number).sum::<f64>().sqrt()
}

#[test]
fn twenty_losses_are_the_same_fused_and_apart() {
    let Some(device) = open() else { return };
    let fused = Run::new(&device, true, 20).losses(0, 0);
    assert!(fused[19] < fused[0] - 0.3, "{fused:?}");
    let apart = Run::new(&device, false, 20);
    let same = difference(&fused, &apart.losses(0, 0));
    assert!(same < 1e-4, "{same}");
    apart.network.initialize(SEED).unwrap();
    let other = difference(&fused, &apart.losses(0, 1));
    assert!(other > 1e-3, "{other}");
    println!("the same masks: {same:.1e}, another step's: {other:.1e}");
}

#[test]
fn gradients_are_the_same_apart_and_finite_differences() {
    let Some(device) = open() else { return };
    let [fused, apart] = [true, false].map(|is_fused| Run::new(&device, is_fused, 1));
    let [gradients, others] = [&fused, &apart].map(|run| {
        run.losses(0, 0);
        own_kernels::download(&device.device, &device.queue, &run.network.gradients).unwrap()
    });
    let start = fused.network.start(SEED).unwrap();
    let mut worst = [0.0_f64; 2];
    // All blocks are made alike, so finite differences check only the last parameter of each name.
    let mut seen = HashSet::new();
    for (name, tensor, _) in fused.network.parameters.iter().rev() {
        let begin = tensor.grad.begin as usize;
        let range = begin..begin + tensor.grad.len as usize;
        let [own, other] = [&gradients, &others].map(|all| &all[range.clone()]);
        let size = norm(own.iter().map(|&number| number.into()));
        let apart = norm((own.iter().zip(other)).map(|(a, b)| f64::from(a - b))) / size;
        assert!(apart < 1e-5, "{name} at {begin}: {apart} apart");
        worst[0] = worst[0].max(apart);
        if !seen.insert(name) {
            continue;
        }
        // Along the gradient, the loss grows at a rate of its size. Two half steps change it by a
        // hundredth: far more than f32 rounds off, and nearly linear.
        let step = 5e-3 / size;
        let loss = |sign: f64| {
            let State([mut moved, first, second]) = start.clone();
            for (number, gradient) in moved[range.clone()].iter_mut().zip(own) {
                *number = (f64::from(*number) + sign * step * f64::from(*gradient) / size) as f32;
            }
            fused
                .network
                .restore(&State([moved, first, second]))
                .unwrap();
            let key = |i| MaskKey::layer_step(SEED, i, 0);
            fused
                .network
                .evaluate(&fused.batches, fused.rate, key)
                .unwrap()[0]
        };
        let slope = (loss(1.0) - loss(-1.0)) / (2.0 * step);
        let error = (slope / size - 1.0).abs();
        assert!(
            error < 2e-3,
            "{name} at {begin}: a slope of {slope}, a gradient of {size}"
        );
        worst[1] = worst[1].max(error);
    }
    println!(
        "apart {:.1e}, finite differences {:.1e}",
        worst[0], worst[1]
    );
}

#[test]
fn a_batch_in_parts_has_its_masks_and_gradients() {
    const PARTS: u32 = 3;
    let Some(device) = open() else { return };
    let [whole, part] = [PARTS, 1].map(|samples| {
        let network = Network::new(&device, samples, true, 1e-3).unwrap();
        network.initialize(SEED).unwrap();
        network
    });
    let pairs = Text::sonnets().batch(SEED, 0, PARTS).unwrap();
    let rate = DropoutRate::new(0.2).unwrap();
    let call = |i| DropoutCall::new(rate, MaskKey::layer_step(SEED, i, 0));
    let (loss, gradients) = whole.part(&pairs, (0, 1), call).unwrap();
    let apart = |number: fn(u32) -> u32| {
        let mut sums = (0.0, vec![0.0; gradients.len()]);
        let len = pairs.len() / PARTS as usize;
        for (i, pairs) in (0..PARTS).zip(pairs.chunks_exact(len)) {
            let (loss, gradients) = part.part(pairs, (number(i), PARTS), call).unwrap();
            sums.0 += loss;
            for (sum, gradient) in sums.1.iter_mut().zip(gradients) {
                *sum += gradient;
            }
        }
        let pairs = gradients.iter().zip(&sums.1);
        let off = norm(pairs.map(|(a, b)| f64::from(a - b)));
        let size = norm(gradients.iter().map(|&number| number.into()));
        (f64::abs(sums.0 / loss - 1.0), off / size)
    };
    let same = apart(|i| i);
    assert!(same.0 < 1e-6 && same.1 < 1e-5, "{same:?}");
    // Negative control: each part has the masks of the first part, as if workers copied a
    // generator's state.
    let other = apart(|_| 0);
    assert!(other.0 > 1e-4 && other.1 > 0.1, "{other:?}");
    // With one part, which is the whole batch, the step equals that of `train`.
    whole.apply(&gradients, 0).unwrap();
    let stepped = whole.state().unwrap();
    whole.initialize(SEED).unwrap();
    let key = |i, step| MaskKey::layer_step(SEED, i, step);
    assert_eq!(whole.train(&[pairs], 0, rate, key).unwrap(), [loss]);
    assert_eq!(whole.state().unwrap(), stepped);
    println!("in parts: {same:?}, with the first part's masks: {other:?}");
}

#[test]
fn a_run_repeats_and_goes_on_from_its_state() {
    let Some(device) = open() else { return };
    let run = Run::new(&device, true, 6);
    let losses = run.losses(0, 0);
    let end = run.network.state().unwrap();
    let mut again = Run::new(&device, true, 3);
    assert_eq!(again.losses(0, 0), losses[..3]);
    let middle = again.network.state().unwrap();
    again.network.initialize(SEED + 1).unwrap();
    again.network.restore(&middle).unwrap();
    again.batches = run.batches;
    assert_eq!(again.losses(3, 0), losses[3..]);
    assert_eq!(again.network.state().unwrap(), end);
}

#[test]
fn a_step_takes_fewer_dispatches_and_bytes_fused() {
    let Some(device) = open() else { return };
    let cost = |is_fused| {
        let run = Run::new(&device, is_fused, 0);
        run.network.cost(run.rate)
    };
    let (fused, apart) = (cost(true), cost(false));
    assert_eq!((fused.0, apart.0), (184, 230));
    assert!(fused.1 < apart.1, "{fused:?} {apart:?}");
}
