//! Measures what Burn's own dropout and this crate's cost on one GPU: the time forward, the time
//! forward and backward, and the memory kept in between. Outputs are verified first.
//!
//! A dropout that drops nothing follows the layer. Fusion does not look into such an operation, so
//! the layer writes its output to memory, as it does before a matrix product. Backward begins when
//! forward is done. The cost of the layer is the difference between the time with it and the time
//! without it.
//!
//! `cargo run --release --example bench -- [REPETITIONS] [gl]`: 15 repetitions unless given. With
//! `gl` the device is one of OpenGL, for which Burn compiles WGSL, also with the feature `vulkan`.

use std::env;
use std::error::Error;
use std::time::Instant;

use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Distribution, Tensor};
use wgpu_dropout::{Direction, DropoutCall, DropoutRate, MaskKey, MaskLayout, cpu};
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, dropout};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const PROB: f64 = 0.1;
const SIZES: [usize; 5] = [1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24];
/// Small tensors pass the layer several times in one measurement.
const ELEMENTS_A_MEASUREMENT: usize = 1 << 20;

enum Layer {
    None,
    Burns(Dropout),
    Ours(FusedDropout),
}

/// A figure for Burn's layer, then one for this crate's.
type Pair = [f64; 2];

fn main() -> Result {
    let repetitions = match env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 15,
    };
    let options = match env::args().nth(2).as_deref() {
        None => Device::wgpu_options(),
        Some("gl") => Device::wgpu_options().graphics_api(WgpuBackend::Gl),
        Some(other) => return Err(format!("unknown device {other}: give gl or nothing").into()),
    };
    let (device, setup) = options.init_with_setup()?;
    let device = device.autodiff();
    let info = setup.adapter.get_info();
    println!(
        "{}/{}, {} {}; f32, p = {PROB}.",
        info.backend, info.name, info.driver, info.driver_info
    );
    println!(
        "Milliseconds that the layer adds, medians of {repetitions} measurements in turns; the ratio \
         is Burn's over ours.\n"
    );

    let ours = FusedDropoutConfig::new(PROB).init();
    verify(&ours, &device)?;
    let burns = DropoutConfig::new(PROB).init();
    let layers = [Layer::None, Layer::Burns(burns), Layer::Ours(ours)];

    println!(
        "| elements | forward: Burn | ours | ratio | forward + backward: Burn | ours | ratio \
         | kept, bytes per element: Burn | ours |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for len in SIZES {
        let input = Tensor::random([len], Distribution::Default, &device).require_grad();
        let columns = |[burns, ours]: Pair| format!("{burns:.3} | {ours:.3} | {:.2}", burns / ours);
        let [forward, both] = times(&layers, &input, repetitions)?;
        let [burns, ours] = [kept(&layers[1], &input)?, kept(&layers[2], &input)?];
        println!(
            "| {len} | {} | {} | {burns:.2} | {ours:.2} |",
            columns(forward),
            columns(both)
        );
    }
    Ok(())
}

/// Compares the outputs with the library's CPU path, to the bit.
fn verify(layer: &FusedDropout, device: &Device) -> Result {
    const LEN: usize = 1_000_003;
    let input = Tensor::<1>::random([LEN], Distribution::Default, device);
    let output = layer.forward(input.clone()).into_data();
    let call = layer.call().ok_or("the layer dropped nothing")?;
    let mut expected = input.into_data().try_to_vec::<f32>()?;
    cpu::apply(Direction::Forward, LEN, &mut expected, &call)?;
    if output.as_slice::<f32>()? != expected {
        return Err("the GPU's output differs from the CPU's".into());
    }
    Ok(())
}

impl Layer {
    fn forward(&self, input: Tensor<1>) -> Tensor<1> {
        match self {
            Self::None => input,
            Self::Burns(layer) => layer.forward(input),
            Self::Ours(layer) => layer.forward(input),
        }
    }
}

/// Milliseconds that each layer adds to forward, and to forward and backward.
fn times(layers: &[Layer; 3], input: &Tensor<1>, repetitions: usize) -> Result<[Pair; 2]> {
    let passes = (ELEMENTS_A_MEASUREMENT / input.shape().num_elements()).max(1);
    let mut seconds: [[Vec<f64>; 2]; 3] = Default::default();
    // The first repetitions compile kernels.
    for repetition in 0..repetitions + 2 {
        for (layer, seconds) in layers.iter().zip(&mut seconds) {
            let mut sums = [0.0; 2];
            for _ in 0..passes {
                let times = pass(layer, input)?;
                sums = [sums[0] + times[0], sums[1] + times[1]];
            }
            if repetition >= 2 {
                seconds[0].push(sums[0] / passes as f64);
                seconds[1].push(sums[1] / passes as f64);
            }
        }
    }
    let [without, burns, ours] = seconds.map(|times| times.map(median));
    Ok([0, 1].map(|i| [burns[i] - without[i], ours[i] - without[i]].map(|time| 1e3 * time)))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds until the GPU is done with forward, and with both forward and backward. Forward is not
/// timed alone, since the pools would then free the mask's page each time and allocate it again.
fn pass(layer: &Layer, input: &Tensor<1>) -> Result<[f64; 2]> {
    let device = input.device();
    let layout = MaskLayout::linear(input.shape().num_elements() as u64);
    let copy = DropoutCall::new(DropoutRate::ZERO, MaskKey::new(0, 0));
    let start = Instant::now();
    let output = dropout(layer.forward(input.clone()), &layout, &copy)?;
    device.sync()?;
    let forward = start.elapsed().as_secs_f64();
    let grad = input.grad(&output.clone().backward());
    device.sync()?;
    let both = start.elapsed().as_secs_f64();
    // Both live until here, since fusion does not compute a tensor that was dropped.
    drop((output, grad));
    Ok([forward, both])
}

/// The bytes per element that Burn's pools keep between forward and backward, besides the input and
/// the output.
fn kept(layer: &Layer, input: &Tensor<1>) -> Result<f64> {
    let device = input.device();
    let in_use = || -> Result<f64> {
        device.sync()?;
        let usage = device
            .memory_pool_usage()
            .ok_or("the backend reports no memory")?;
        Ok(usage.bytes_in_use as f64)
    };
    let before = in_use()?;
    let output = layer.forward(input.clone());
    let bytes = in_use()? - before;
    let len = output.shape().num_elements() as f64;
    Ok(bytes / len - 4.0)
}
