//! Trains Burn's `TransformerEncoder` to classify lines of text, by Burn's `Learner` on two devices.
//! It does so three times: without dropout, with Burn's own `forward`, and with `forward_fused`. All
//! trainings have the same first weights. Loss, accuracy, time and memory are printed side by side.
//!
//! The lines are from Shakespeare's Sonnets, in lower case and without punctuation. The question is
//! whether the words of a line are in the poet's order or were shuffled.
//!
//! `cargo run --release --example classify_lines -- [EPOCHS] [DEVICES]`: 4 epochs unless given, on
//! `wgpu`, which means two of its devices, or on `gl` or `flex`, which are one device.

use std::env;
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Bool, Device, DeviceKind, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, Learner, LearnerSummary,
    MultiDeviceOptim, SupervisedTraining, TrainOutput, TrainStep,
};
use wgpu_dropout_burn::{AttentionMasks, FusedEncoder, TrainingRun};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The lines, which are in the public domain.
const TEXT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/transformer_block/sonnets.txt"
);
const SEED: u64 = 42;
/// The most characters that a line may have. Longer lines are cut.
const LENGTH: usize = 48;
/// The letters, the blank, and the padding after the end of a line.
const TOKENS: usize = 28;
const PADDING: i32 = 27;
const D_MODEL: usize = 32;
const PROB: f64 = 0.1;
/// Lines in a batch. Each device takes a batch of its own for a step of the optimizer.
const BATCH: usize = 64;
const LEARNING_RATE: f64 = 2e-3;

#[derive(Module, Debug)]
struct Classifier {
    letters: Embedding,
    positions: Embedding,
    encoder: TransformerEncoder,
    output: Linear,
    /// With a run, `forward_fused` is called. This is the only difference between the two models.
    #[module(skip)]
    run: Option<TrainingRun>,
    /// The beginnings of training steps, those of all devices.
    #[module(skip)]
    steps: Arc<Mutex<Vec<Instant>>>,
}

impl Classifier {
    fn new(device: &Device) -> Self {
        Self {
            letters: EmbeddingConfig::new(TOKENS, D_MODEL).init(device),
            positions: EmbeddingConfig::new(LENGTH, D_MODEL).init(device),
            encoder: TransformerEncoderConfig::new(D_MODEL, 4 * D_MODEL, 4, 1)
                .with_norm_first(true)
                .with_dropout(PROB)
                .init(device),
            output: LinearConfig::new(D_MODEL, 2).init(device),
            run: None,
            steps: Arc::default(),
        }
    }

    /// The same model, in which each dropout drops with another probability.
    fn with_prob(mut self, prob: f64) -> Self {
        for layer in &mut self.encoder.layers {
            let fields = [
                &mut layer.dropout,
                &mut layer.mha.dropout,
                &mut layer.pwff.dropout,
            ];
            for field in fields {
                field.prob = prob;
            }
        }
        self
    }

    fn forward(&self, lines: Tensor<2, Int>) -> Tensor<2> {
        let device = lines.device();
        let padding: Tensor<2, Bool> = lines.clone().equal_elem(PADDING);
        let places = Tensor::<1, Int>::arange(0..LENGTH as i64, &device).unsqueeze::<2>();
        let x = self.letters.forward(lines) + self.positions.forward(places);
        let x = match &self.run {
            None => {
                let input = TransformerEncoderInput::new(x).mask_pad(padding.clone());
                self.encoder.forward(input)
            }
            Some(run) => {
                let masks = AttentionMasks {
                    pad: Some(padding.clone()),
                    attn: None,
                };
                self.encoder.forward_fused(x, masks, &run.at("encoder"))
            }
        };
        // The mean over the characters of the line, without the padding.
        let weights = padding.bool_not().float().unsqueeze_dim::<3>(2);
        let sum = (x * weights.clone()).sum_dim(1) / weights.sum_dim(1);
        self.output.forward(sum.squeeze_dim::<2>(1))
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let outputs = self.forward(batch.tokens);
        let loss = CrossEntropyLossConfig::new().init(&outputs.device());
        let loss = loss.forward(outputs.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, outputs, batch.classes)
    }
}

impl TrainStep for Classifier {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(Instant::now());
        drop(steps);
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Classifier {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

#[derive(Clone, Debug)]
struct Line {
    tokens: Vec<i32>,
    is_shuffled: bool,
}

/// The lines of `text`. The words of every second line are shuffled.
fn lines(text: &str) -> Vec<Line> {
    let words_of = |line: &str| -> Vec<String> {
        let letters = |word: &str| {
            let letters = word.chars().filter(char::is_ascii_alphabetic);
            letters.map(|letter| letter.to_ascii_lowercase()).collect()
        };
        let words = line.split_whitespace().map(letters);
        words.filter(|word: &String| !word.is_empty()).collect()
    };
    let lines = text.lines().map(words_of).filter(|words| words.len() > 4);
    let numbered = lines.enumerate().map(|(number, mut words)| {
        let is_shuffled = number % 2 == 1;
        if is_shuffled {
            shuffle(&mut words, number);
        }
        let letters = words.join(" ");
        let mut tokens: Vec<i32> = letters
            .bytes()
            .map(|letter| match letter {
                b' ' => 26,
                letter => i32::from(letter - b'a'),
            })
            .collect();
        tokens.resize(LENGTH, PADDING);
        Line {
            tokens,
            is_shuffled,
        }
    });
    numbered.collect()
}

#[derive(Clone, Debug)]
struct Batch {
    tokens: Tensor<2, Int>,
    classes: Tensor<1, Int>,
}

struct Lines;

impl Batcher<Line, Batch> for Lines {
    fn batch(&self, lines: Vec<Line>, device: &Device) -> Batch {
        let tokens: Vec<i32> = lines.iter().flat_map(|line| line.tokens.clone()).collect();
        let classes: Vec<i32> = lines.iter().map(|line| line.is_shuffled.into()).collect();
        let tokens = TensorData::new(tokens, [lines.len(), LENGTH]);
        Batch {
            tokens: Tensor::from_data(tokens, device),
            classes: Tensor::from_data(TensorData::new(classes, [lines.len()]), device),
        }
    }
}

fn loader(lines: &[Line]) -> Arc<dyn DataLoader<Batch>> {
    let lines = InMemDataset::new(lines.to_vec());
    DataLoaderBuilder::new(Lines)
        .batch_size(BATCH)
        .shuffle(SEED)
        .build(lines)
}

/// Shuffles in the same order each time.
fn shuffle<T>(items: &mut [T], number: usize) {
    // Knuth's linear congruential generator. Only its upper bits are random enough.
    let mut state = SEED ^ number as u64;
    for i in (1..items.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        items.swap(i, (state >> 33) as usize % (i + 1));
    }
}

struct Figures {
    /// For each epoch the training loss, the test loss and the test accuracy in percent.
    epochs: Vec<[f64; 3]>,
    step_ms: f64,
    kept_bytes: Option<u64>,
}

fn train(
    model: Classifier,
    (training, test): (&[Line], &[Line]),
    epochs: usize,
    devices: &[Device],
) -> Result<Figures> {
    let kept_bytes = kept(&model, &training[..BATCH], &devices[0])?;
    let folder = tempfile::tempdir()?;
    let strategy = match devices {
        [device] => ExecutionStrategy::SingleDevice(device.clone()),
        _ => ExecutionStrategy::MultiDevice(devices.to_vec(), MultiDeviceOptim::OptimMainDevice),
    };
    let (steps, run) = (model.steps.clone(), model.run.clone());
    let optimizer = AdamConfig::new().init();
    let learner = match run {
        None => Learner::new(model, optimizer, LEARNING_RATE),
        Some(run) => Learner::new(model, optimizer, run.count_steps(LEARNING_RATE)),
    };
    let result = SupervisedTraining::new(folder.path(), loader(training), loader(test))
        .with_training_strategy(strategy.into())
        .num_epochs(epochs)
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .metric_valid_numeric(AccuracyMetric::new())
        .with_application_logger(None)
        .launch(learner);
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }
    let summary = LearnerSummary::new(folder.path(), &["Loss", "Accuracy"])?.metrics;
    let [train, valid, accuracy] = [
        (&summary.train, "Loss"),
        (&summary.valid, "Loss"),
        (&summary.valid, "Accuracy"),
    ]
    .map(|(metrics, name)| metrics.iter().find(|metric| metric.name == name));
    let missing = "the training logged no such metric";
    let values = [
        train.ok_or(missing)?,
        valid.ok_or(missing)?,
        accuracy.ok_or(missing)?,
    ];
    let epochs = (0..epochs).map(|epoch| values.map(|metric| metric.entries[epoch].value));
    // A step of the optimizer has a training step on each device. The first steps compile kernels.
    let steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
    let starts: Vec<_> = steps.iter().step_by(devices.len()).skip(3).collect();
    let times = starts
        .windows(2)
        .map(|pair| (*pair[1] - *pair[0]).as_secs_f64() * 1e3);
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    Ok(Figures {
        epochs: epochs.collect(),
        step_ms: times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
        kept_bytes,
    })
}

/// The bytes in use that are added between the beginning of forward and that of backward. `None` if
/// the backend does not report them.
fn kept(model: &Classifier, lines: &[Line], device: &Device) -> Result<Option<u64>> {
    let in_use = || -> Result<Option<u64>> {
        device.sync()?;
        Ok(device.memory_pool_usage().map(|usage| usage.bytes_in_use))
    };
    let batch = Lines.batch(lines.to_vec(), device);
    let before = in_use()?;
    let output = model.classify(batch);
    let bytes = in_use()?.zip(before).map(|(now, before)| now - before);
    drop(output);
    Ok(bytes)
}

fn main() -> Result {
    let mut arguments = env::args().skip(1);
    let epochs = match arguments.next() {
        Some(number) => number.parse()?,
        None => 4,
    };
    let devices = match arguments.next().as_deref() {
        // On a machine with one adapter, both use it.
        None | Some("wgpu") => vec![
            Device::wgpu_options().init()?,
            Device::wgpu_options().device_kind(DeviceKind::Cpu).init()?,
        ],
        Some("gl") => vec![
            Device::wgpu_options()
                .graphics_api(WgpuBackend::Gl)
                .init()?,
        ],
        Some("flex") => vec![Device::flex()],
        Some(other) => return Err(format!("unknown devices {other}: give wgpu, gl or flex").into()),
    };
    let devices: Vec<Device> = devices.into_iter().map(Device::autodiff).collect();
    devices[0].seed(SEED);
    let mut lines = lines(&fs::read_to_string(TEXT)?);
    shuffle(&mut lines, usize::MAX);
    let (test, training) = lines.split_at(lines.len() / 5);
    println!(
        "{} lines for training, {} for the test; {} devices.",
        training.len(),
        test.len(),
        devices.len()
    );

    let run = TrainingRun::new(SEED);
    run.set_devices(&devices)?;
    let model = Classifier::new(&devices[0]);
    let fused = Classifier {
        run: Some(run),
        steps: Arc::default(),
        ..model.clone()
    };
    let plain = Classifier {
        steps: Arc::default(),
        ..model.clone().with_prob(0.0)
    };
    let start = Instant::now();
    let mut figures = Vec::new();
    for model in [plain, model, fused] {
        figures.push(train(model, (training, test), epochs, &devices)?);
    }

    println!(
        "\n| epoch | train loss: none | Burn | fused | test loss: none | Burn | fused | accuracy: none | Burn | fused |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for epoch in 0..epochs {
        print!("| {} |", epoch + 1);
        for column in 0..3 {
            for figures in &figures {
                print!(" {:.3} |", figures.epochs[epoch][column]);
            }
        }
        println!();
    }
    println!("\n| | none | Burn | fused |\n|---|--:|--:|--:|");
    print!("| step, milliseconds |");
    for figures in &figures {
        print!(" {:.1} |", figures.step_ms);
    }
    print!("\n| kept between forward and backward, bytes |");
    for figures in &figures {
        match figures.kept_bytes {
            Some(bytes) => print!(" {bytes} |"),
            None => print!(" not reported |"),
        }
    }
    println!("\n\n{:.0} seconds.", start.elapsed().as_secs_f64());
    Ok(())
}
