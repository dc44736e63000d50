//! A recurrent cell with variational dropout (Gal and Ghahramani 2016) inside its kernel: `h_t =
//! tanh(x_t + u dropout(h_(t-1)))`. All time steps share one mask, which the kernel draws once for
//! a sequence.
//!
//! `cargo run --example rnn_cell`

use anyhow::{Result, ensure};
use wgpu_dropout::{Direction, DropoutCall, DropoutMask, DropoutRate, MaskKey, MaskLayout, cpu};

#[path = "mlp/device.rs"]
mod device;
#[path = "own_kernels/mod.rs"]
mod own_kernels;

use own_kernels::Dispatch;

/// A workgroup runs the sequence of one sample. An invocation computes one unit.
const CELL: &str = "
const UNITS: u32 = 48u;

struct Params {
    @align(16) mask: DropoutMask,
    // Strides of the mask's layout for (time, samples, units).
    strides: vec4<u32>,
    time: u32,
}

// x and h have the shape (time, samples, units).
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> h: array<f32>;
// u has the shape (units, units).
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> dropped: array<f32, UNITS>;

@compute @workgroup_size(UNITS)
fn cell(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) unit: u32,
) {
    // The time coordinate does not matter, since time has stride 0.
    let index = dropout_index(params.mask, vec4(0u, group.x, unit, 0u), params.strides);
    let keep = dropout_keep_at(params.mask, index);
    var state = 0.0;
    for (var t = 0u; t < params.time; t++) {
        dropped[unit] = dropout_value(params.mask, state, keep);
        workgroupBarrier();
        let at = (t * groups.x + group.x) * UNITS + unit;
        var sum = x[at];
        for (var j = 0u; j < UNITS; j++) {
            sum += u[unit * UNITS + j] * dropped[j];
        }
        state = tanh(sum);
        h[at] = state;
        workgroupBarrier();
    }
}
";

pub const TIME: u64 = 9;
pub const SAMPLES: u64 = 5;
pub const UNITS: u64 = 48;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    mask: DropoutMask,
    strides: [u32; 4],
    time: u32,
    padding: [u32; 3],
}

/// Returns the states of all steps. For backward through time, bind `Dropout` with the same layout:
/// the mask is the same.
pub fn run(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    [x, u]: &[Vec<f32>; 2],
    call: &DropoutCall,
) -> Result<Vec<f32>> {
    let [x, u] = [x, u].map(|x| own_kernels::upload(device, queue, x));
    let h = own_kernels::tensor(device, TIME * SAMPLES * UNITS);
    let params = own_kernels::uniform::<Params>(device);
    let module = own_kernels::module(device, CELL)?;
    let buffers = [(0, &x), (1, &h), (2, &u), (3, &params)];
    let cell = Dispatch::new(device, &module, "cell", &buffers, [SAMPLES as u32, 1]);

    // Each training step.
    let layout = MaskLayout::time_locked_time_first(&[TIME, SAMPLES, UNITS])?;
    let values = Params {
        mask: call.mask_params_of(&layout)?,
        strides: layout.index_strides()?,
        time: TIME as u32,
        padding: [0; 3],
    };
    queue.write_buffer(&params, 0, bytemuck::bytes_of(&values));
    own_kernels::submit(device, queue, |pass| {
        cell.encode(pass);
        Ok(())
    })?;
    own_kernels::download(device, queue, &h)
}

/// Checks the results of [`run`] against f64 with the CPU's mask.
pub fn check([x, u]: &[Vec<f32>; 2], call: &DropoutCall, h: &[f32]) -> Result<()> {
    let layout = MaskLayout::time_locked_time_first(&[TIME, SAMPLES, UNITS])?;
    // Dropout of ones gives the factor of each element: 0, or the scale.
    let mut factors = vec![1.0; h.len()];
    cpu::apply(Direction::Forward, &layout, &mut factors[..], call)?;
    let units = UNITS as usize;
    let mut state = vec![0.0; SAMPLES as usize * units];
    let steps = x
        .chunks(state.len())
        .zip(factors.chunks(state.len()))
        .zip(h.chunks(state.len()));
    for (t, ((x, factors), h)) in steps.enumerate() {
        let dropped: Vec<_> = state
            .iter()
            .zip(factors)
            .map(|(h, &m)| h * f64::from(m))
            .collect();
        for (at, state) in state.iter_mut().enumerate() {
            let (sample, unit) = (at / units, at % units);
            let row = dropped[sample * units..]
                .iter()
                .zip(&u[unit * units..][..units]);
            *state = (f64::from(x[at]) + row.map(|(h, &u)| h * f64::from(u)).sum::<f64>()).tanh();
            let error = (f64::from(h[at]) - *state).abs();
            // WGSL allows tanh an error of 1e-5, and the errors of the steps add up.
            ensure!(
                error <= 1e-3,
                "h is off by {error:e} at step {t}, sample {sample}, unit {unit}; {call}"
            );
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let (device, queue, adapter) = device::open()?;
    let call = DropoutCall::new(DropoutRate::new(0.3)?, MaskKey::layer_step(42, 0, 7));
    let inputs = [TIME * SAMPLES * UNITS, UNITS * UNITS].map(own_kernels::numbers);
    let h = run(&device, &queue, &inputs, &call)?;
    check(&inputs, &call, &h)?;
    println!("{adapter}: the cell's mask equals the CPU's at all {TIME} time steps");
    Ok(())
}
