//! Two small networks of the kind that textbooks show, trained on a made-up task.
//!
//! `cargo run --example textbook`

#[path = "mlp/mod.rs"]
mod mlp;

use anyhow::Result;
use wgpu_dropout::{DropoutRate, MaskKey};

use mlp::{Architecture, Examples, Mlp, Optimizer, device, random};

const SEED: u64 = 42;
const FEATURES: u32 = 20;
const EPOCHS: u32 = 30;

fn main() -> Result<()> {
    let (device, queue, adapter) = device::open()?;
    println!("{adapter}");

    // Two classes: Dense 128 - dropout 0.5 - Dense 64 - dropout 0.3 - Dense 1.
    let binary = Architecture {
        widths: vec![FEATURES, 128, 64, 1],
        batch: 32,
    };
    train(&device, &queue, binary, [0.0, 0.5, 0.3], 2)?;

    // Three classes: two hidden layers, followed by dropout 0.2 and 0.3.
    let ternary = Architecture {
        widths: vec![FEATURES, 64, 32, 3],
        batch: 32,
    };
    train(&device, &queue, ternary, [0.0, 0.2, 0.3], 3)
}

/// Trains a network. `rates[i]` is the rate of dropout before dense layer i.
fn train(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    architecture: Architecture,
    rates: [f64; 3],
    classes: u64,
) -> Result<()> {
    println!(
        "widths {:?}, dropout before each {rates:?}",
        architecture.widths
    );
    let optimizer = Optimizer {
        learning_rate: 1e-3,
        l1: 0.0,
        l2: 0.0,
    };
    let [first, second, third] = rates;
    let rates = [
        DropoutRate::new(first)?,
        DropoutRate::new(second)?,
        DropoutRate::new(third)?,
    ];
    let mlp = Mlp::new(device, queue, architecture, optimizer)?;
    // The data has a key of its own. Training uses MaskKey::layer_step(SEED, …).
    let key = MaskKey::new(SEED, 0);
    let train = mlp.upload(&task(classes, key.fold_in(0)?)?)?;
    let test = mlp.upload(&task(classes, key.fold_in(1)?)?)?;
    mlp.initialize(SEED)?;
    for epoch in 0..EPOCHS {
        mlp.train_epoch(&train, &rates, SEED, epoch)?;
        if (epoch + 1) % 10 == 0 {
            let [train, test] = [
                mlp.evaluate(&train)?.score(&train.labels),
                mlp.evaluate(&test)?.score(&test.labels),
            ];
            println!(
                "epoch {:2}: train loss {:.3}, test loss {:.3}, test accuracy {:.1} %",
                epoch + 1,
                train.loss,
                test.loss,
                100.0 * test.accuracy
            );
        }
    }
    Ok(())
}

/// 500 examples of random bytes. The label is the number of the greatest among the first `classes`
/// features.
fn task(classes: u64, key: MaskKey) -> Result<Examples> {
    let words = random::words(key, 500 * FEATURES as usize)?;
    let bytes: Vec<_> = words.into_iter().map(|word| word as u8).collect();
    let label = |example: &[u8]| {
        let candidates = (0..).zip(&example[..classes as usize]);
        candidates
            .max_by_key(|&(_, byte)| byte)
            .map_or(0, |(class, _)| class)
    };
    let labels = bytes.chunks_exact(FEATURES as usize).map(label).collect();
    Ok(Examples {
        features: FEATURES,
        bytes,
        labels,
    })
}
