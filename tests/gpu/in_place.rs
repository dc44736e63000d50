//! Dropout that overwrites one range gives the same bits as dropout between two buffers.

use crate::case::Case;
use crate::common::compare;
use crate::common::inputs::{SPECIALS, call, dropout, values};
use crate::gpu::Gpu;
use crate::run::{Direction, Layout, Mode};
use crate::sweeps;

const MODE: Mode = Mode::new(Layout::InPlace, Direction::Forward);

pub const CASES: &[Case] = &[
    Case::new("lengths", |gpu| sweeps::lengths(gpu, MODE)),
    Case::new("rates", |gpu| sweeps::rates(gpu, MODE)),
    Case::new("long", |gpu| sweeps::long(gpu, MODE)),
    Case::new("rate_of_zero_records_nothing", rate_of_zero),
    Case::new("calls_follow_each_other", calls_follow_each_other),
];

/// Rate 0 records nothing: a dispatch that follows has no pipeline, so it is a validation error.
fn rate_of_zero(gpu: &Gpu) -> Result<(), String> {
    let x = SPECIALS.repeat(100);
    let buffer = gpu.upload(bytemuck::cast_slice(&x));
    let binding = gpu.bind_in_place(&buffer, x.len() as u64)?;
    // At p = 2^-34 the threshold is 0.
    for p in [0.0, -0.0, 1.0 / 17_179_869_184.0] {
        for &direction in Direction::ALL {
            let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            Mode::new(Layout::InPlace, direction).encode(gpu, &mut pass, &binding, &call(p, 3))?;
            pass.dispatch_workgroups(1, 1, 1);
            drop(pass);
            encoder.finish();
            if pollster::block_on(scope.pop()).is_none() {
                return Err(format!("p {p}: something was recorded"));
            }
            gpu.submit(|pass| {
                Mode::new(Layout::InPlace, direction).encode(gpu, pass, &binding, &call(p, 3))
            })?;
        }
    }
    compare::bytes(
        bytemuck::cast_slice(&x),
        bytemuck::cast_slice(&gpu.download(&buffer)?),
    )
}

fn calls_follow_each_other(gpu: &Gpu) -> Result<(), String> {
    let calls = [call(0.1, 5), call(0.2, 1 << 40), call(0.1, 5)];
    let mut expected = values(3001);
    let buffer = gpu.upload(bytemuck::cast_slice(&expected));
    let binding = gpu.bind_in_place(&buffer, 3001)?;
    gpu.submit(|pass| {
        calls
            .iter()
            .try_for_each(|call| MODE.encode(gpu, pass, &binding, call))
    })?;
    for call in &calls {
        expected = dropout(call, &expected);
    }
    let got = gpu.download(&buffer)?;
    compare::f32_bits(&expected, bytemuck::cast_slice(&got))
}
