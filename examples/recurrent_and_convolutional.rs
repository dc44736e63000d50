//! Calls for a recurrent layer, whose mask is locked over time, and for a convolutional layer,
//! which drops whole feature maps. Both are checked against the CPU.
//!
//! `cargo run --example recurrent_and_convolutional`

use anyhow::{Result, ensure};
use wgpu_dropout::{
    Direction, Dropout, DropoutCall, DropoutRate, KernelDescriptor, MaskKey, MaskLayout, cpu,
};

#[path = "mlp/device.rs"]
mod device;

const SEED: u64 = 42;
const STEP: u32 = 7;
const F32: u64 = 4;

fn main() -> Result<()> {
    let (device, queue, adapter) = device::open()?;
    let dropout = Dropout::new(&device, &KernelDescriptor::default())?;
    recurrent(&dropout, &queue)?;
    convolutional(&dropout, &queue)?;
    println!("{adapter}: the same bits as on the CPU");
    Ok(())
}

/// Variational dropout (Gal and Ghahramani 2016) of activations `(time, samples, features)`: all
/// time steps share one mask, forward and backward through time.
fn recurrent(dropout: &Dropout, queue: &wgpu::Queue) -> Result<()> {
    let [time, samples, features] = [5, 8, 32];
    let slice = samples * features;
    let x: Vec<f32> = (0..time * slice).map(|i| (i as f32).sin()).collect();
    let call = DropoutCall::new(DropoutRate::new(0.3)?, MaskKey::layer_step(SEED, 0, STEP));

    // A loop over time: each step binds its slice, and all steps use the same call.
    let device = dropout.device();
    let states = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("hidden states"),
        size: F32 * time * slice,
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&states, 0, bytemuck::cast_slice(&x));
    let steps = (0..time)
        .map(|t| {
            let state = wgpu::BufferBinding {
                buffer: &states,
                // The offset is a multiple of 256, the largest storage offset alignment.
                offset: F32 * t * slice,
                size: wgpu::BufferSize::new(F32 * slice),
            };
            dropout.bind_in_place(state, slice)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    for step in &steps {
        // … the cell's own kernels …
        dropout.encode_forward(&mut pass, step, &call)?;
    }
    drop(pass);
    let read = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size: states.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_buffer_to_buffer(&states, 0, &read, 0, states.size());
    queue.submit([encoder.finish()]);
    read.map_async(wgpu::MapMode::Read, .., |mapped| {
        mapped.expect("read buffer");
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let looped: Vec<f32> = bytemuck::pod_collect_to_vec(&read.get_mapped_range(..)?);

    // The same for the whole sequence at once: one layout, one dispatch.
    let layout = MaskLayout::time_locked_time_first(&[time, samples, features])?;
    let whole = dropout.run_blocking(queue, Direction::Forward, &layout, &x, &call)?;
    ensure!(looped == whole, "the loop and the layout differ");
    ensure!(whole == on_cpu(&x, &layout, &call)?, "the CPU differs");
    Ok(())
}

/// Feature dropout (Tompson et al. 2015) of activations `(samples, channels, height, width)`: it
/// drops whole channels of a sample, and the same channels of its gradient.
fn convolutional(dropout: &Dropout, queue: &wgpu::Queue) -> Result<()> {
    let shape = [4, 16, 6, 6];
    let layout = MaskLayout::feature_channels_first(&shape)?;
    let x: Vec<f32> = (0..layout.len()).map(|i| (i as f32).cos()).collect();
    let call = DropoutCall::new(DropoutRate::new(0.25)?, MaskKey::layer_step(SEED, 1, STEP));
    let y = dropout.run_blocking(queue, Direction::Forward, &layout, &x, &call)?;
    let grad_x = dropout.run_blocking(queue, Direction::Backward, &layout, &x, &call)?;
    ensure!(y == on_cpu(&x, &layout, &call)?, "the CPU differs");
    // The gradient of the output is x here. Dropout is linear, so the results must be equal.
    ensure!(grad_x == y, "backward has another mask");
    let maps = y.chunks_exact(36);
    ensure!(
        maps.clone()
            .all(|map| map.iter().all(|&x| x == 0.0) || map.iter().all(|&x| x != 0.0)),
        "only a part of a map was dropped"
    );
    let dropped = maps.clone().filter(|map| map[0] == 0.0).count();
    println!("{dropped} of {} feature maps dropped", maps.len());
    Ok(())
}

fn on_cpu(x: &[f32], layout: &MaskLayout, call: &DropoutCall) -> Result<Vec<f32>> {
    let mut y = x.to_vec();
    cpu::apply(Direction::Forward, layout, &mut y, call)?;
    Ok(y)
}
