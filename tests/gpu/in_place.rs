//! One range, overwritten, gives what two buffers give.

use crate::battery;
use crate::case::Case;
use crate::common::compare;
use crate::common::inputs::{SPECIALS, call, dropout, values};
use crate::gpu::Gpu;
use crate::run::{Direction, Layout, Way};

const WAY: Way = Way::new(Layout::InPlace, Direction::Forward);

pub const CASES: &[Case] = &[
    Case::new("lengths", |gpu| battery::lengths(gpu, WAY)),
    Case::new("rates", |gpu| battery::rates(gpu, WAY)),
    Case::new("long", |gpu| battery::long(gpu, WAY)),
    Case::new("rate_of_zero_records_nothing", rate_of_zero),
    Case::new("calls_follow_each_other", calls_follow_each_other),
];

/// A pass in which something was recorded has a pipeline, and this dispatch would be valid.
fn rate_of_zero(gpu: &Gpu) -> Result<(), String> {
    let x = SPECIALS.repeat(100);
    let buffer = gpu.upload(bytemuck::cast_slice(&x));
    let binding = gpu
        .dropout
        .bind_in_place(buffer.as_entire_buffer_binding(), x.len() as u64)
        .map_err(|error| error.to_string())?;
    // 2^-34 has the threshold 0.
    for p in [0.0, -0.0, 1.0 / 17_179_869_184.0] {
        for &direction in Direction::ALL {
            let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            Way::new(Layout::InPlace, direction).encode(gpu, &mut pass, &binding, &call(p, 3))?;
            pass.dispatch_workgroups(1, 1, 1);
            drop(pass);
            encoder.finish();
            if pollster::block_on(scope.pop()).is_none() {
                return Err(format!("p {p}: something was recorded"));
            }
            gpu.submit(|pass| {
                Way::new(Layout::InPlace, direction).encode(gpu, pass, &binding, &call(p, 3))
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
    let binding = gpu
        .dropout
        .bind_in_place(buffer.as_entire_buffer_binding(), 3001)
        .map_err(|error| error.to_string())?;
    gpu.submit(|pass| {
        calls
            .iter()
            .try_for_each(|call| WAY.encode(gpu, pass, &binding, call))
    })?;
    for call in &calls {
        expected = dropout(call, &expected);
    }
    let got = gpu.download(&buffer)?;
    compare::f32_bits(&expected, bytemuck::cast_slice(&got))
}
