//! Trains Burn's `TransformerEncoder` to classify lines of text, twice: with Burn's own `forward`
//! and with `forward_fused`. Both trainings have the same model, the same order of lines and the
//! same first weights. Loss, accuracy, time and memory are printed side by side.
//!
//! The lines are from Shakespeare's Sonnets, in lower case and without punctuation. The question is
//! whether the words of a line are in the poet's order or were shuffled.
//!
//! `cargo run --release --example classify_lines -- [EPOCHS] [DEVICE]`: 10 epochs unless given, on
//! `wgpu` or `flex`.

use std::env;
use std::error::Error;
use std::fs;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
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
const BATCH: usize = 64;
const LEARNING_RATE: f64 = 2e-3;

#[derive(Module, Debug)]
struct Classifier {
    letters: Embedding,
    positions: Embedding,
    encoder: TransformerEncoder,
    output: Linear,
}

impl Classifier {
    fn new(device: &Device) -> Self {
        Self {
            letters: EmbeddingConfig::new(TOKENS, D_MODEL).init(device),
            positions: EmbeddingConfig::new(LENGTH, D_MODEL).init(device),
            encoder: TransformerEncoderConfig::new(D_MODEL, 4 * D_MODEL, 4, 2)
                .with_norm_first(true)
                .with_dropout(PROB)
                .init(device),
            output: LinearConfig::new(D_MODEL, 2).init(device),
        }
    }

    /// With a run, `forward_fused` is called. This is the only difference between the two models.
    fn forward(&self, lines: Tensor<2, Int>, run: Option<&TrainingRun>) -> Tensor<2> {
        let device = lines.device();
        let padding: Tensor<2, Bool> = lines.clone().equal_elem(PADDING);
        let places = Tensor::<1, Int>::arange(0..LENGTH as i64, &device).unsqueeze::<2>();
        let x = self.letters.forward(lines) + self.positions.forward(places);
        let x = match run {
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
}

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

fn batch(lines: &[&Line], device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let tokens: Vec<i32> = lines.iter().flat_map(|line| line.tokens.clone()).collect();
    let classes: Vec<i32> = lines.iter().map(|line| line.is_shuffled.into()).collect();
    (
        Tensor::from_data(TensorData::new(tokens, [lines.len(), LENGTH]), device),
        Tensor::from_data(TensorData::new(classes, [lines.len()]), device),
    )
}

/// Shuffles in the same order for both models.
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

/// For each epoch the training loss, the test loss and the hits.
type Epoch = [f32; 3];

struct Figures {
    epochs: Vec<Epoch>,
    steps: Vec<f64>,
    kept_bytes: Option<u64>,
}

fn train(
    mut model: Classifier,
    run: Option<&TrainingRun>,
    (train, test): (&[Line], &[Line]),
    epochs: usize,
    device: &Device,
) -> Result<Figures> {
    let mut optimizer = AdamConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut figures = Figures {
        epochs: Vec::new(),
        steps: Vec::new(),
        kept_bytes: None,
    };
    let mut order: Vec<&Line> = train.iter().collect();
    let mut step = 0;
    for epoch in 0..epochs {
        shuffle(&mut order, epoch);
        let mut total = 0.0;
        for lines in order.chunks(BATCH) {
            let (tokens, classes) = batch(lines, device);
            let before = in_use(device)?;
            let start = Instant::now();
            if let Some(run) = run {
                run.set_step(step);
            }
            let batch_loss = loss.forward(model.forward(tokens, run), classes);
            if epoch == 0 {
                let kept = in_use(device)?
                    .zip(before)
                    .map(|(now, before)| now - before);
                figures.kept_bytes = figures.kept_bytes.max(kept);
            }
            let gradients = GradientsParams::from_grads(batch_loss.backward(), &model);
            model = optimizer.step(LEARNING_RATE, model, gradients);
            device.sync()?;
            // The first epoch is not timed: it compiles kernels and measures memory.
            if epoch > 0 {
                figures.steps.push(start.elapsed().as_secs_f64() * 1e3);
            }
            total += batch_loss.try_into_scalar::<f32>()? * lines.len() as f32;
            step += 1;
        }
        let inference = &device.clone().inner();
        let (tokens, classes) = batch(&test.iter().collect::<Vec<_>>(), inference);
        let outputs = model.valid().forward(tokens, None);
        let test_loss = CrossEntropyLossConfig::new().init(inference);
        let test_loss = test_loss.forward(outputs.clone(), classes.clone());
        let hits = outputs.argmax(1).squeeze_dim(1).equal(classes).int().sum();
        figures.epochs.push([
            total / train.len() as f32,
            test_loss.try_into_scalar()?,
            hits.try_into_scalar::<i32>()? as f32,
        ]);
    }
    Ok(figures)
}

/// The bytes in use that Burn's pools report. `None` if the backend does not report them.
fn in_use(device: &Device) -> Result<Option<u64>> {
    device.sync()?;
    Ok(device.memory_pool_usage().map(|usage| usage.bytes_in_use))
}

fn main() -> Result {
    let mut arguments = env::args().skip(1);
    let epochs = match arguments.next() {
        Some(number) => number.parse()?,
        None => 10,
    };
    let device = match arguments.next().as_deref() {
        None | Some("wgpu") => Device::wgpu_options().init()?,
        Some("flex") => Device::flex(),
        Some(other) => return Err(format!("unknown device {other}: give wgpu or flex").into()),
    };
    let device = device.autodiff();
    device.seed(SEED);
    let run = TrainingRun::new(SEED);
    let mut lines = lines(&fs::read_to_string(TEXT)?);
    shuffle(&mut lines, usize::MAX);
    let (test, training) = lines.split_at(lines.len() / 5);
    println!(
        "{} lines for training, {} for the test.\n",
        training.len(),
        test.len()
    );

    let model = Classifier::new(&device);
    let burns = train(model.clone(), None, (training, test), epochs, &device)?;
    let ours = train(model, Some(&run), (training, test), epochs, &device)?;

    println!(
        "| epoch | train loss: Burn | fused | test loss: Burn | fused | test accuracy: Burn | fused |"
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
    let median = |figures: &Figures| {
        let mut steps = figures.steps.clone();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or(f64::NAN)
    };
    println!("\n| | Burn | fused |\n|---|--:|--:|");
    println!(
        "| step, milliseconds | {:.2} | {:.2} |",
        median(&burns),
        median(&ours)
    );
    if let (Some(burns), Some(ours)) = (burns.kept_bytes, ours.kept_bytes) {
        println!("| kept between forward and backward, bytes | {burns} | {ours} |");
    }
    Ok(())
}
