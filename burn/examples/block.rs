//! Compares a transformer's encoder layer without dropout, with Burn's dropout and with this
//! crate's. It prints kernels and bytes as Burn's fusion reports them, the memory kept for
//! backward, and the wall and CPU time of a step.
//!
//! `cargo run --release --example block -- [STEPS] [gl] [install]`: 20 steps unless given. With `gl`
//! the device is one of OpenGL, for which Burn compiles WGSL, also with the feature `vulkan`. With
//! `install`, Burn's fusion takes in the layer `FusedDropout`.

use std::collections::{HashMap, HashSet};
use std::env;
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use burn::backend::fusion::custom::OperationIr;
use burn::backend::fusion::observer::{BlockOperations, FusionObservation, FusionObserver};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput, TransformerEncoderLayer,
};
use burn::tensor::activation::softmax;
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Distribution, Tensor};
use wgpu_dropout_burn::{
    AttentionMasks, FusedDropout, FusedDropoutConfig, FusedEncoder, TrainingRun, install,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const BATCH: usize = 8;
const LENGTH: usize = 128;
const D_MODEL: usize = 256;
const D_FF: usize = 1024;
const HEADS: usize = 4;
const PROB: f64 = 0.1;
/// A rate that drops nothing but is not 0, so that the fused kernels run, without a mask.
const NOTHING: f64 = 1e-12;

struct Way {
    name: &'static str,
    model: TransformerEncoder,
    kind: Kind,
}

enum Kind {
    /// Burn's own `forward`.
    Burn,
    /// `forward_fused`.
    Fused(TrainingRun),
    /// Burn's operations, with these layers for dropout.
    Plain(Box<[FusedDropout; 4]>),
}

fn main() -> Result {
    let steps = match env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 20,
    };
    let mut options = Device::wgpu_options();
    for word in env::args().skip(2) {
        match word.as_str() {
            "gl" => options = options.graphics_api(WgpuBackend::Gl),
            "install" => install()?,
            other => return Err(format!("unknown word {other}: give gl or install").into()),
        }
    }
    let (device, setup) = options.init_with_setup()?;
    let device = device.autodiff();
    let info = setup.adapter.get_info();
    println!(
        "{}/{}, {} {}; f32, batch {BATCH}, {LENGTH} tokens, d {D_MODEL}, {HEADS} heads, d_ff {D_FF}, norm \
         first, p = {PROB}.",
        info.backend, info.name, info.driver, info.driver_info
    );
    println!("Step: forward and backward, median and minimum of {steps} in turns.\n");
    let plain = config(0.0).init(&device);
    let with = |prob: f64| config(prob).init(&device);
    let ways = [
        ("no dropout, Burn's", plain, Kind::Burn),
        ("Burn's", with(PROB), Kind::Burn),
        (
            "`FusedDropout`",
            with(0.0),
            Kind::Plain(Box::new(
                [0; 4].map(|_| FusedDropoutConfig::new(PROB).init()),
            )),
        ),
        (
            "`forward_fused`, nothing dropped",
            with(NOTHING),
            Kind::Fused(TrainingRun::new(1)),
        ),
        (
            "`forward_fused`",
            with(PROB),
            Kind::Fused(TrainingRun::new(1)),
        ),
    ]
    .map(|(name, model, kind)| Way { name, model, kind });
    let input = Tensor::<3>::random([BATCH, LENGTH, D_MODEL], Distribution::Default, &device)
        .require_grad();

    // The first steps compile kernels and choose among them.
    for way in &ways {
        for _ in 0..2 {
            way.step(&input)?;
        }
    }
    let mut seconds = vec![[Vec::new(), Vec::new()]; ways.len()];
    for _ in 0..steps {
        for (way, [wall, cpu]) in ways.iter().zip(&mut seconds) {
            let (start, cpu_before) = (Instant::now(), cpu_seconds());
            way.step(&input)?;
            wall.push(start.elapsed().as_secs_f64());
            cpu.push(cpu_seconds() - cpu_before);
        }
    }
    println!(
        "| | kernels: forward | backward | MB: forward | backward | kept, MB | step, ms: median | minimum \
         | CPU, ms: median | minimum |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (way, seconds) in ways.iter().zip(seconds) {
        let [forward, backward] = way.account(&input)?;
        let kept = way.kept(&input)?;
        let [wall, cpu] = seconds.map(|mut seconds| {
            seconds.sort_by(f64::total_cmp);
            [seconds[seconds.len() / 2], seconds[0]].map(|seconds| 1e3 * seconds)
        });
        println!(
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} |",
            way.name,
            forward.kernels,
            backward.kernels,
            forward.bytes as f64 / 1e6,
            backward.bytes as f64 / 1e6,
            kept / 1e6,
            wall[0],
            wall[1],
            cpu[0],
            cpu[1],
        );
    }
    Ok(())
}

/// The processor time of all threads, in steps of 10 ms. On a software adapter it is the cost of
/// the kernels, whatever else the machine does. NaN if the system does not report it.
fn cpu_seconds() -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let ticks = || -> Option<u64> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The fields after the name, which may contain blanks, begin with field 3. Fields 14 and 15
        // are the user's and the system's time.
        let fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
        fields.take(2).map(|field| field.parse::<u64>().ok()).sum()
    };
    ticks().map_or(f64::NAN, |ticks| ticks as f64 / TICKS_A_SECOND)
}

fn config(prob: f64) -> TransformerEncoderConfig {
    TransformerEncoderConfig::new(D_MODEL, D_FF, HEADS, 1)
        .with_norm_first(true)
        .with_dropout(prob)
}

/// The forward pass of Burn's layer, norm first, with other layers for dropout.
fn plain(layer: &TransformerEncoderLayer, x: Tensor<3>, dropout: &[FusedDropout; 4]) -> Tensor<3> {
    let [on_weights, on_context, inside, on_output] = dropout;
    let mha = &layer.mha;
    let normed = layer.norm_2.forward(x.clone());
    let [query, key, value] = [&mha.query, &mha.key, &mha.value].map(|linear| {
        let heads = [BATCH, LENGTH, HEADS, D_MODEL / HEADS];
        let projected = linear.forward(normed.clone());
        projected.reshape(heads).swap_dims(1, 2)
    });
    let scores = query.matmul(key.transpose()) / (mha.d_k as f32).sqrt();
    let weights = on_weights.forward(softmax(scores, 3));
    let context = weights.matmul(value).swap_dims(1, 2);
    let context = mha
        .output
        .forward(context.reshape([BATCH, LENGTH, D_MODEL]));
    let x = x + on_context.forward(context);
    let ff = &layer.pwff;
    let wide = ff.linear_inner.forward(layer.norm_1.forward(x.clone()));
    let wide = inside.forward(ff.activation.forward(wide));
    x + on_output.forward(ff.linear_outer.forward(wide))
}

impl Way {
    fn forward(&self, input: &Tensor<3>) -> Tensor<3> {
        let input = input.clone();
        match &self.kind {
            Kind::Burn => self.model.forward(TransformerEncoderInput::new(input)),
            Kind::Fused(run) => {
                let masks = AttentionMasks::default();
                self.model.forward_fused(input, masks, &run.at("encoder"))
            }
            Kind::Plain(layers) => plain(&self.model.layers[0], input, layers),
        }
    }

    fn step(&self, input: &Tensor<3>) -> Result {
        let gradients = self.forward(input).backward();
        // The gradients live until here, since fusion does not compute a tensor that was dropped.
        input.device().sync()?;
        drop(gradients);
        Ok(())
    }

    /// The kernels that forward and backward launch, and their bytes.
    fn account(&self, input: &Tensor<3>) -> Result<[Account; 2]> {
        let device = input.device();
        device.sync()?;
        let account = Arc::new(Shared::default());
        let observation = FusionObservation::new(account.clone());
        let take = || core::mem::take(&mut *account.lock());
        let output = self.forward(input);
        device.sync()?;
        let forward = take();
        let gradients = output.backward();
        device.sync()?;
        let backward = take();
        drop((observation, gradients));
        Ok([forward, backward])
    }

    /// The bytes that are kept between forward and backward.
    fn kept(&self, input: &Tensor<3>) -> Result<f64> {
        let device = input.device();
        let in_use = || -> Result<f64> {
            device.sync()?;
            let usage = device.memory_pool_usage();
            Ok(usage.ok_or("the backend reports no memory")?.bytes_in_use as f64)
        };
        let before = in_use()?;
        let output = self.forward(input);
        let bytes = in_use()? - before;
        drop(output);
        Ok(bytes)
    }
}

/// The number of kernels, and the least number of bytes that they read and write: each kernel
/// counts a tensor once.
#[derive(Default)]
struct Account {
    kernels: u64,
    bytes: u64,
}

#[derive(Default)]
struct Shared(Mutex<Account>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Counts operations that are one kernel.
    fn launches(&self, operations: &[&OperationIr]) {
        let mut tensors = HashMap::new();
        let mut made = HashSet::new();
        // Tensors that the kernel makes and that are read there for the last time.
        let mut inner = HashSet::new();
        let mut works = false;
        for operation in operations {
            if is_view(operation) {
                // A view reads nothing of its tensor.
                continue;
            }
            works = true;
            for tensor in operation.inputs() {
                tensors.insert(tensor.id, tensor);
                if made.contains(&tensor.id) && format!("{:?}", tensor.status) == "ReadWrite" {
                    inner.insert(tensor.id);
                }
            }
            for tensor in operation.outputs() {
                tensors.insert(tensor.id, tensor);
                made.insert(tensor.id);
            }
        }
        let moved = tensors
            .values()
            .filter(|tensor| !inner.contains(&tensor.id));
        let bytes = moved.map(|tensor| (tensor.shape.num_elements() * tensor.dtype.size()) as u64);
        let mut account = self.lock();
        account.kernels += u64::from(works);
        account.bytes += bytes.sum::<u64>();
    }
}

impl FusionObserver for Shared {
    fn registered(&self, _operation: &OperationIr) {}

    fn block_starts(&self, block: BlockOperations<'_>) {
        let operations: Vec<_> = block.iter().collect();
        // This crate's fuser launches a matrix product before the kernel of dropout.
        let starts = |i: usize, name| format!("{:?}", operations[i]).starts_with(name);
        let dropout = "Custom(CustomOpIr { id: \"wgpu_dropout";
        let is_two =
            starts(0, "Float(F32, Matmul") && (1..operations.len()).any(|i| starts(i, dropout));
        let (first, second) = operations.split_at(usize::from(is_two));
        self.launches(first);
        self.launches(second);
    }

    fn block_ran(&self) {}
}

/// True for operations that launch nothing.
fn is_view(operation: &OperationIr) -> bool {
    const VIEWS: [&str; 7] = [
        "Drop(",
        "Init(",
        "BaseFloat(Reshape",
        "BaseFloat(SwapDims",
        "BaseFloat(Permute",
        "BaseFloat(Expand",
        "BaseFloat(Slice(",
    ];
    let text = format!("{operation:?}");
    VIEWS.iter().any(|view| text.starts_with(view))
}
