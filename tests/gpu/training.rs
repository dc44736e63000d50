//! The network of the examples: gradients against finite differences of an f64 network on the host,
//! Adam, and training that repeats and resumes bit for bit.

#[path = "../../examples/mlp/mod.rs"]
mod mlp;

use approx::relative_eq;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

use self::mlp::{Architecture, Examples, Mlp, Optimizer, State, random};
use crate::case::Case;
use crate::common::inputs;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("gradients_are_finite_differences", gradients),
    Case::new("the_optimizer_is_adam", adam),
    Case::new("predictions_are_the_host_network_s", predictions),
    Case::new("a_run_repeats", a_run_repeats),
    Case::new("a_run_resumes", a_run_resumes),
];

const SEED: u64 = 0x0123_4567_89AB_CDEF;
const EPOCH: u32 = 3;
const OPTIMIZER: Optimizer = Optimizer {
    learning_rate: 0.01,
    l1: 0.02,
    l2: 0.05,
};

/// Widths that are no multiple of a tile, with three classes and with two, and a batch that is not
/// full.
fn architectures() -> [Architecture; 2] {
    [vec![20, 13, 10, 3], vec![20, 9, 1]].map(|widths| Architecture { widths, batch: 7 })
}

/// Arbitrary bytes, and labels of every class.
fn examples(architecture: &Architecture, len: u32) -> Examples {
    let features = architecture.widths[0];
    let classes = architecture
        .widths
        .last()
        .map_or(2, |&logits| logits.max(2));
    Examples {
        features,
        bytes: (0..features * len)
            .map(|i| (i * i * 37 + 11 * i) as u8)
            .collect(),
        labels: (0..len).map(|i| (i % classes) as u8).collect(),
    }
}

fn rates(architecture: &Architecture) -> Vec<DropoutRate> {
    let mut rates = vec![inputs::call(0.4, 0).rate; architecture.widths.len() - 1];
    rates[0] = inputs::call(0.2, 0).rate;
    rates
}

/// The same network in f64 on the host. Its matrices are padded to tiles of 8, as on the device.
struct Host<'a> {
    architecture: &'a Architecture,
    /// The offsets of each layer's weights in the parameters, then of each layer's biases.
    begins: Vec<usize>,
    len: usize,
}

impl<'a> Host<'a> {
    fn new(architecture: &'a Architecture) -> Self {
        let layers = || architecture.widths.windows(2);
        let padded = |width: u32| width.next_multiple_of(8) as usize;
        let weights = layers().map(|pair| padded(pair[0]) * padded(pair[1]));
        let biases = layers().map(|pair| padded(pair[1]));
        let mut len = 0;
        let begins = weights
            .chain(biases)
            .map(|tensor| {
                let begin = len;
                len += tensor.next_multiple_of(64);
                begin
            })
            .collect();
        Self {
            architecture,
            begins,
            len,
        }
    }

    fn layers(&self) -> usize {
        self.architecture.widths.len() - 1
    }

    fn columns(&self, width: usize) -> usize {
        self.architecture.widths[width].next_multiple_of(8) as usize
    }

    /// A nonzero value for each parameter, and zeros in the padding.
    fn parameters(&self) -> Vec<f32> {
        let mut parameters = vec![0.0; self.len];
        for layer in 0..self.layers() {
            let [inputs, outputs] =
                [layer, layer + 1].map(|i| self.architecture.widths[i] as usize);
            for input in 0..inputs {
                for output in 0..outputs {
                    let i = input * self.columns(layer + 1) + output;
                    parameters[self.begins[layer] + i] = ((3 * i + layer) as f32).sin() / 2.0;
                }
            }
            let bias = self.begins[self.layers() + layer];
            for output in 0..outputs {
                parameters[bias + output] = (output as f32).cos() / 4.0;
            }
        }
        parameters
    }

    /// The log-probabilities of each row.
    fn forward(
        &self,
        parameters: &[f64],
        rows: &[Vec<f64>],
        calls: &[DropoutCall],
    ) -> Vec<Vec<f64>> {
        let mut rows = rows.to_vec();
        for layer in 0..self.layers() {
            let (inputs, outputs) = (self.columns(layer), self.columns(layer + 1));
            let ones = vec![1.0; rows.len() * inputs];
            let factors = inputs::dropout(&calls[layer], &ones);
            for (row, factors) in rows.iter_mut().zip(factors.chunks(inputs)) {
                for (x, &factor) in row.iter_mut().zip(factors) {
                    *x *= f64::from(factor);
                }
                let output = |j: usize| {
                    let weight = |i: usize| parameters[self.begins[layer] + i * outputs + j];
                    let bias = parameters[self.begins[self.layers() + layer] + j];
                    bias + (0..inputs).map(|i| row[i] * weight(i)).sum::<f64>()
                };
                let hidden = layer + 1 < self.layers();
                *row = (0..outputs)
                    .map(|j| {
                        if hidden {
                            output(j).max(0.0)
                        } else {
                            output(j)
                        }
                    })
                    .collect();
            }
        }
        for row in &mut rows {
            match self.architecture.widths[self.layers()] {
                1 => *row = vec![0.0, row[0]],
                logits => row.truncate(logits as usize),
            }
            let log_sum = row.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            row.iter_mut().for_each(|logit| *logit -= log_sum);
        }
        rows
    }

    /// The examples in the given order, as rows of the first layer's input, and their labels.
    fn batch(&self, examples: &Examples, order: &[u32]) -> (Vec<Vec<f64>>, Vec<usize>) {
        let features = examples.features as usize;
        let row = |&example: &u32| {
            let begin = example as usize * features;
            let bytes = &examples.bytes[begin..begin + features];
            let mut row: Vec<_> = bytes.iter().map(|&byte| f64::from(byte) / 255.0).collect();
            row.resize(self.columns(0), 0.0);
            row
        };
        let label = |&example: &u32| usize::from(examples.labels[example as usize]);
        (
            order.iter().map(row).collect(),
            order.iter().map(label).collect(),
        )
    }

    /// Central differences of the mean cross-entropy, the gradients to expect.
    fn gradients(
        &self,
        parameters: &[f32],
        examples: &Examples,
        calls: &[DropoutCall],
    ) -> Vec<f64> {
        const H: f64 = 1e-5;
        let order = random::order(SEED, EPOCH, examples.len()).expect("an order");
        let (rows, labels) = self.batch(examples, &order);
        let loss = |parameters: &[f64]| {
            let outcome = self.forward(parameters, &rows, calls);
            let losses = outcome.iter().zip(&labels).map(|(row, &label)| -row[label]);
            losses.sum::<f64>() / labels.len() as f64
        };
        let mut moved: Vec<_> = parameters.iter().map(|&x| f64::from(x)).collect();
        (0..parameters.len())
            .map(|i| {
                let middle = moved[i];
                let mut at = |x: f64| {
                    moved[i] = x;
                    loss(&moved)
                };
                let slope = (at(middle + H) - at(middle - H)) / (2.0 * H);
                moved[i] = middle;
                slope
            })
            .collect()
    }
}

fn calls(rates: &[DropoutRate], step: u32) -> Vec<DropoutCall> {
    (0..)
        .zip(rates)
        .map(|(layer, &rate)| DropoutCall::new(rate, MaskKey::layer_step(SEED, layer, step)))
        .collect()
}

/// One training step from known parameters and moments. Returns the network after it and the state
/// before.
fn step(
    gpu: &Gpu,
    architecture: &Architecture,
    examples: &Examples,
) -> Result<(Mlp, State), String> {
    let mlp = network(gpu, architecture)?;
    let parameters = Host::new(architecture).parameters();
    let moments = |scale: f32| {
        parameters
            .iter()
            .map(|x| scale * x.abs())
            .collect::<Vec<_>>()
    };
    let before = State([parameters.clone(), moments(0.1), moments(0.01)]);
    mlp.restore(&before).map_err(text)?;
    mlp.train_epoch(
        &mlp.upload(examples).map_err(text)?,
        &rates(architecture),
        SEED,
        EPOCH,
    )
    .map_err(text)?;
    Ok((mlp, before))
}

fn network(gpu: &Gpu, architecture: &Architecture) -> Result<Mlp, String> {
    Mlp::new(&gpu.device, &gpu.queue, architecture.clone(), OPTIMIZER).map_err(text)
}

fn text(error: anyhow::Error) -> String {
    format!("{error:#}")
}

/// Compares within 1e-6. That covers f32 sums of dozens of terms below 1, and the H^2 / 6 error of
/// the differences.
fn close(what: &str, expected: &[f64], got: &[f32]) -> Result<(), String> {
    if expected.len() != got.len() {
        return Err(format!(
            "{what}: {} expected, {} got",
            expected.len(),
            got.len()
        ));
    }
    let near = |expected: f64, got: f32| {
        relative_eq!(
            expected,
            f64::from(got),
            epsilon = 1e-6,
            max_relative = 1e-6
        )
    };
    let mut pairs = expected.iter().zip(got).enumerate();
    match pairs.find(|(_, (expected, got))| !near(**expected, **got)) {
        Some((i, (expected, got))) => Err(format!("{what} {i}: expected {expected}, got {got}")),
        None => Ok(()),
    }
}

fn gradients(gpu: &Gpu) -> Result<(), String> {
    for architecture in architectures() {
        // An epoch has one batch, so the step's number is the epoch's.
        let examples = examples(&architecture, 5);
        let (mlp, before) = step(gpu, &architecture, &examples)?;
        let got = mlp.gradients().map_err(text)?;
        let host = Host::new(&architecture);
        let rates = rates(&architecture);
        let expected = |step| host.gradients(&before.0[0], &examples, &calls(&rates, step));
        close("gradient", &expected(EPOCH), &got)?;
        // Negative control: another step has other masks.
        if close("gradient", &expected(EPOCH + 1), &got).is_ok() {
            return Err("the masks of another step were not noticed".into());
        }
        let of_weights = got[..host.begins[host.layers()]]
            .iter()
            .filter(|x| **x != 0.0);
        if of_weights.count() < 50 {
            return Err("too few gradients are nonzero".into());
        }
    }
    Ok(())
}

fn adam(gpu: &Gpu) -> Result<(), String> {
    for architecture in architectures() {
        let (mlp, before) = step(gpu, &architecture, &examples(&architecture, 5))?;
        let gradients = mlp.gradients().map_err(text)?;
        let after = mlp.state().map_err(text)?;
        let host = Host::new(&architecture);
        let expected = |l1: f64, l2: f64| {
            let mut expected = [Vec::new(), Vec::new(), Vec::new()];
            let t = f64::from(EPOCH + 1);
            for (i, &gradient) in gradients.iter().enumerate() {
                let [parameter, first, second] = [0, 1, 2].map(|part| f64::from(before.0[part][i]));
                let is_weight = i < host.begins[host.layers()];
                let sign = if parameter == 0.0 {
                    0.0
                } else {
                    parameter.signum()
                };
                let decay = l1 * sign + l2 * parameter;
                let decay = if is_weight { decay } else { 0.0 };
                let gradient = f64::from(gradient) + decay;
                let first = 0.9 * first + 0.1 * gradient;
                let second = 0.999 * second + 0.001 * gradient * gradient;
                let corrected = second / (1.0 - 0.999f64.powf(t));
                let step = OPTIMIZER.learning_rate * first / (1.0 - 0.9f64.powf(t));
                expected[0].push(parameter - step / (corrected.sqrt() + 1e-8));
                expected[1].push(first);
                expected[2].push(second);
            }
            expected
        };
        let check = |l1, l2| {
            let parts = expected(l1, l2);
            parts
                .iter()
                .zip(&after.0)
                .try_for_each(|(expected, got)| close("state", expected, got))
        };
        check(OPTIMIZER.l1, OPTIMIZER.l2)?;
        if check(0.0, OPTIMIZER.l2).is_ok() || check(OPTIMIZER.l1, 0.0).is_ok() {
            return Err("a missing L1 or L2 was not noticed".into());
        }
    }
    Ok(())
}

/// Predictions over several batches, without dropout and with it.
fn predictions(gpu: &Gpu) -> Result<(), String> {
    for architecture in architectures() {
        let examples = examples(&architecture, 17);
        let mlp = network(gpu, &architecture)?;
        let host = Host::new(&architecture);
        let parameters = host.parameters();
        let zeros = vec![0.0; parameters.len()];
        mlp.restore(&State([parameters.clone(), zeros.clone(), zeros]))
            .map_err(text)?;
        let set = mlp.upload(&examples).map_err(text)?;
        let none = vec![DropoutRate::ZERO; host.layers()];
        let parameters: Vec<_> = parameters.into_iter().map(f64::from).collect();
        for rates in [none, rates(&architecture)] {
            let got = mlp
                .predict(&set, &rates, |layer| MaskKey::layer_step(SEED, layer, 0))
                .map_err(text)?;
            let order: Vec<_> = (0..examples.len()).collect();
            let mut expected = Vec::new();
            for (batch, order) in (0..).zip(order.chunks(architecture.batch as usize)) {
                let mut calls = calls(&rates, 0);
                for (layer, call) in calls.iter_mut().enumerate() {
                    // A batch of seven rows is padded to eight.
                    call.origin = batch * 8 * host.columns(layer) as u64;
                }
                let (rows, _) = host.batch(&examples, order);
                expected.extend(host.forward(&parameters, &rows, &calls).concat());
            }
            close("log-probability", &expected, &got.log_probabilities)?;
        }
    }
    Ok(())
}

/// The state after training up to epoch `end`, from `start` if there is one, else from the
/// beginning.
fn train(gpu: &Gpu, seed: u64, start: Option<(u32, &State)>, end: u32) -> Result<State, String> {
    let [architecture, _] = architectures();
    let mlp = network(gpu, &architecture)?;
    let set = mlp.upload(&examples(&architecture, 30)).map_err(text)?;
    let first = match start {
        Some((epoch, state)) => {
            mlp.restore(state).map_err(text)?;
            epoch
        }
        None => {
            mlp.initialize(seed).map_err(text)?;
            0
        }
    };
    for epoch in first..end {
        mlp.train_epoch(&set, &rates(&architecture), seed, epoch)
            .map_err(text)?;
    }
    mlp.state().map_err(text)
}

fn bits(state: &State) -> Vec<u32> {
    state.0.iter().flatten().map(|x| x.to_bits()).collect()
}

fn a_run_repeats(gpu: &Gpu) -> Result<(), String> {
    let first = bits(&train(gpu, 1, None, 2)?);
    if first != bits(&train(gpu, 1, None, 2)?) {
        return Err("the second run of a seed differs".into());
    }
    if first == bits(&train(gpu, 2, None, 2)?) {
        return Err("another seed gives the same".into());
    }
    Ok(())
}

fn a_run_resumes(gpu: &Gpu) -> Result<(), String> {
    let whole = bits(&train(gpu, 1, None, 3)?);
    let saved = train(gpu, 1, None, 2)?;
    if whole != bits(&train(gpu, 1, Some((2, &saved)), 3)?) {
        return Err("the resumed run differs".into());
    }
    // Negative control: the epoch before has another order and other masks.
    if whole == bits(&train(gpu, 1, Some((1, &saved)), 2)?) {
        return Err("a wrong epoch was not noticed".into());
    }
    Ok(())
}
