//! A recurrent cell with variational dropout (Gal and Ghahramani 2016) inside its kernel:
//! `h_t = tanh(x_t + u dropout(h_(t-1)))`, with one mask for all time steps. It is drawn once a sequence.
//!
//! `cargo run --example rnn_cell`

use anyhow::{Result, ensure};
use wgpu_dropout::{Direction, DropoutCall, DropoutMask, DropoutRate, MaskKey, MaskLayout, cpu};

#[path = "mlp/device.rs"]
mod device;
#[path = "own_kernels/mod.rs"]
mod own_kernels;

use own_kernels::Dispatch;

/// A workgroup runs a sample's sequence, an invocation one unit of it.
const CELL: &str = "
const UNITS: u32 = 48u;

struct Params {
    @align(16) mask: DropoutMask,
    // Strides of the mask of (time, samples, units).
    strides: vec4<u32>,
    time: u32,
}

// (time, samples, units).
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> h: array<f32>;
// (units, units).
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> dropped: array<f32, UNITS>;

@compute @workgroup_size(UNITS)
fn cell(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) unit: u32,
) {
    // Any time step has the same index: time has stride 0.
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

/// The states of all steps. Backward through time, `Dropout` bound with the same layout has the same mask.
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

/// Checks what [`run`] gives against f64 with the CPU's mask.
pub fn check([x, u]: &[Vec<f32>; 2], call: &DropoutCall, h: &[f32]) -> Result<()> {
    let layout = MaskLayout::time_locked_time_first(&[TIME, SAMPLES, UNITS])?;
    // Dropout of ones is the mask's factors.
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
            // WGSL's tanh may be off by 1e-5, and each step adds to that.
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
    println!("{adapter}: the cell's mask is the CPU's at all {TIME} time steps");
    Ok(())
}
