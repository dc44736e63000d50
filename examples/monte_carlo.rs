//! Monte-Carlo dropout (Gal and Ghahramani 2016): one recording applies many masks to one input.
//! The program prints the mean and the spread of a model's results.
//!
//! `cargo run --example monte_carlo`

use wgpu_dropout::{Dropout, DropoutCall, DropoutRate, KernelDescriptor, MaskKey};

const MEMBERS: u64 = 200;
const FEATURES: u64 = 256;
/// Folded into the key before a member's number. Training may then fold small numbers, such as the
/// uses of a layer, into the same key.
const ENSEMBLE: u64 = 1 << 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits::downlevel_defaults(),
        ..Default::default()
    }))?;
    let buffer = |label, size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    };
    use wgpu::BufferUsages as Usage;
    let row_bytes = 4 * FEATURES;
    let input = buffer("features", row_bytes, Usage::STORAGE | Usage::COPY_DST);
    let outputs = buffer(
        "members",
        MEMBERS * row_bytes,
        Usage::STORAGE | Usage::COPY_SRC,
    );
    let read = buffer("read", outputs.size(), Usage::MAP_READ | Usage::COPY_DST);

    // The model is a weighted sum of the features.
    let features: Vec<f32> = (0..FEATURES).map(|i| (i as f32 * 0.1).sin()).collect();
    let weights: Vec<f32> = (0..FEATURES)
        .map(|i| (i as f32 * 0.07).cos() / 16.0)
        .collect();
    queue.write_buffer(&input, 0, bytemuck::cast_slice(&features));

    // A member has one mask, so member k is the same network for every input. The folded key is no
    // key of training. MaskKey::new(42, member) would be one: layer 0's at step `member`.
    let ensemble = MaskKey::layer_step(42, 0, 0).fold_in(ENSEMBLE)?;
    let dropout = Dropout::new(&device, &KernelDescriptor::default())?;
    let rate = DropoutRate::new(0.2)?;
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    for member in 0..MEMBERS {
        let row = wgpu::BufferBinding {
            buffer: &outputs,
            offset: member * row_bytes,
            size: wgpu::BufferSize::new(row_bytes),
        };
        let binding = dropout.bind(input.as_entire_buffer_binding(), row, FEATURES)?;
        let call = DropoutCall::new(rate, ensemble.fold_in(member)?);
        dropout.encode_forward(&mut pass, &binding, &call)?;
    }
    drop(pass);
    encoder.copy_buffer_to_buffer(&outputs, 0, &read, 0, outputs.size());
    queue.submit([encoder.finish()]);
    read.map_async(wgpu::MapMode::Read, .., |mapped| {
        mapped.expect("read buffer");
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let view = read.get_mapped_range(..)?;
    let members: &[f32] = bytemuck::cast_slice(&view);

    let model = |row: &[f32]| {
        row.iter()
            .zip(&weights)
            .map(|(x, w)| f64::from(x * w))
            .sum::<f64>()
    };
    let predictions: Vec<f64> = members.chunks_exact(FEATURES as usize).map(model).collect();
    let n = MEMBERS as f64;
    let mean = predictions.iter().sum::<f64>() / n;
    let variance = predictions.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // The masks of features are independent: each feature adds (w x)^2 p / (1 - p) to the variance.
    let p = rate.realized();
    let terms = features
        .iter()
        .zip(&weights)
        .map(|(x, w)| f64::from(x * w).powi(2));
    let expected = terms.sum::<f64>() * p / (1.0 - p);
    println!("without dropout {:.4}", model(&features));
    println!(
        "{MEMBERS} members mean {mean:.4}, standard error {:.4}",
        (variance / n).sqrt()
    );
    println!(
        "standard deviation {:.4}, expected {:.4}",
        variance.sqrt(),
        expected.sqrt()
    );
    Ok(())
}
