//! Low-rank adaptation (Hu et al. 2021): `y = x w + scale (dropout(x) a) b`. The kernel of the
//! product with a applies dropout to x as it reads it, so the dropped x is never written. The
//! library's kernel computes backward.
//!
//! `cargo run --example lora`

use anyhow::{Result, ensure};
use wgpu_dropout::{
    Direction, Dropout, DropoutCall, DropoutMask, DropoutRate, KernelDescriptor, MaskKey, cpu,
};

#[path = "mlp/device.rs"]
mod device;
#[path = "own_kernels/mod.rs"]
mod own_kernels;

use own_kernels::{Bounded, Dispatch};

/// `down = dropout(x) a`, where a has rank 4. A workgroup makes one row of `down`. An invocation
/// takes 32 consecutive elements of x at a time, since one mask word decides those.
const PROLOGUE: &str = "
struct Params {
    @align(16) mask: DropoutMask,
    features: u32, // of x; a multiple of 32
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> down: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn prologue(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) i: u32) {
    var sum = vec4(0.0);
    for (var first = 32u * i; first < params.features; first += 32u * 64u) {
        let element = group.x * params.features + first;
        let keep = dropout_keep_32(params.mask, element);
        for (var n = 0u; n < 32u; n++) {
            let dropped = dropout_value(params.mask, x[element + n], ((keep >> n) & 1u) != 0u);
            sum += dropped * a[first + n];
        }
    }
    sums[i] = sum;
    workgroupBarrier();
    if i == 0u {
        for (var n = 1u; n < 64u; n++) {
            sum += sums[n];
        }
        down[group.x] = sum;
    }
}
";

pub const ROWS: u64 = 20;
pub const FEATURES: u64 = 96;
pub const RANK: u64 = 4;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    mask: DropoutMask,
    features: u32,
    padding: [u32; 3],
}

/// Returns `dropout(x) a`, and the gradient of x for a given gradient of dropout(x). The gradient
/// of a, `dropout(x)^T grad_down`, would be another product with this prologue.
pub fn run(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    [x, a, grad_dropped]: &[Vec<f32>; 3],
    call: &DropoutCall,
) -> Result<[Vec<f32>; 2]> {
    let [x, a, grad] = [x, a, grad_dropped].map(|x| own_kernels::upload(device, queue, x));
    let down = own_kernels::tensor(device, ROWS * RANK);
    let params = own_kernels::uniform::<Params>(device);
    let module = own_kernels::module(device, PROLOGUE)?;
    let buffers = [(0, &x), (1, &a), (2, &down), (3, &params)];
    let prologue = Dispatch::new(device, &module, "prologue", &buffers, [ROWS as u32, 1]);
    let dropout = Dropout::new(device, &KernelDescriptor::default())?;
    let backward = dropout.bind_in_place(grad.as_entire_buffer_binding(), ROWS * FEATURES)?;

    // In each step. If several projections read x, give each its own layer number, and so its own
    // mask.
    let mask = call.mask_params(0, ROWS * FEATURES)?;
    let values = Params {
        mask,
        features: FEATURES as u32,
        padding: [0; 3],
    };
    queue.write_buffer(&params, 0, bytemuck::bytes_of(&values));
    own_kernels::submit(device, queue, |pass| {
        prologue.encode(pass);
        // … down b, the loss, and backward to the gradient of dropout(x), grad_down a^T …
        dropout.encode_backward(pass, &backward, call)?;
        Ok(())
    })?;
    Ok([
        own_kernels::download(device, queue, &down)?,
        own_kernels::download(device, queue, &grad)?,
    ])
}

/// Checks the results of [`run`] against the CPU.
pub fn check(
    [x, a, grad_dropped]: &[Vec<f32>; 3],
    call: &DropoutCall,
    [down, grad_x]: &[Vec<f32>; 2],
) -> Result<()> {
    let mut dropped = x.clone();
    cpu::apply(Direction::Forward, ROWS * FEATURES, &mut dropped[..], call)?;
    let exact = |at: u64| {
        let (row, column) = (at / RANK, at % RANK);
        let product = |k| {
            let [x, a] = [
                dropped[(row * FEATURES + k) as usize],
                a[(k * RANK + column) as usize],
            ];
            f64::from(x) * f64::from(a)
        };
        let magnitude: f64 = (0..FEATURES).map(|k| product(k).abs()).sum();
        Bounded {
            exact: (0..FEATURES).map(product).sum(),
            bound: FEATURES as f64 * f64::from(f32::EPSILON) * magnitude,
        }
    };
    let exact: Vec<_> = (0..ROWS * RANK).map(exact).collect();
    let (error, share) = own_kernels::errors(down, &exact);
    ensure!(
        share <= 1.0,
        "dropout(x) a is off by up to {error:e}, {share:.3} of its bound; {call}"
    );
    let mut expected = grad_dropped.clone();
    cpu::apply(
        Direction::Backward,
        ROWS * FEATURES,
        &mut expected[..],
        call,
    )?;
    ensure!(
        grad_x == &expected,
        "the gradient differs from the CPU's; {call}"
    );
    Ok(())
}

fn main() -> Result<()> {
    let (device, queue, adapter) = device::open()?;
    let call = DropoutCall::new(DropoutRate::new(0.05)?, MaskKey::layer_step(42, 0, 7));
    let inputs = [ROWS * FEATURES, FEATURES * RANK, ROWS * FEATURES].map(own_kernels::numbers);
    let results = run(&device, &queue, &inputs, &call)?;
    check(&inputs, &call, &results)?;
    println!("{adapter}: the masks of the prologue and of the gradient equal the CPU's");
    Ok(())
}
