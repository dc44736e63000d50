//! Gaussian dropout follows the contract [M18]-[M20], compared with the reference in
//! `tests/common`.

use wgpu_dropout::{
    CallError, Direction, DropoutCall, DropoutKind, DropoutRate, GaussianDropout, KernelDescriptor,
    cpu,
};

use crate::adapters::Variant;
use crate::case::{Case, must_differ, text};
use crate::common::compare;
use crate::common::inputs::{call, past_last, values};
use crate::common::reference::normal;
use crate::gpu::Gpu;
use crate::image::{Image, binding};

pub const CASES: &[Case] = &[
    Case::new("values", equals_the_twin),
    Case::new("values_on_small_bindings", equals_the_twin).on(Variant::SmallBindings),
    Case::new("values_in_few_workgroups", equals_the_twin).on(Variant::FewWorkgroups),
    Case::new("moments", moments),
    Case::new("refused_calls", refused_calls),
    Case::new("another_call_differs", another_call_differs),
];

/// Checks elements with consecutive indices: `got` lies within the bound of [M20] around the
/// reference.
pub fn check(call: &DropoutCall, x: &[f32], got: &[f32]) -> Result<(), String> {
    check_at(call, call.origin.., x, got)
}

/// Checks elements with these indices: `got` lies within the bound of [M20] around the reference.
pub fn check_at(
    call: &DropoutCall,
    indices: impl IntoIterator<Item = u64>,
    x: &[f32],
    got: &[f32],
) -> Result<(), String> {
    let p = call.rate.realized();
    let sigma = (p / (1.0 - p)).sqrt();
    let expected = |(&x, index): (&f32, u64)| {
        let x = f64::from(x);
        let exact = x * (1.0 + sigma * normal(call, index));
        // The bound, and one rounding to f32.
        (exact, x.abs() * sigma / 256.0 + exact.abs() / 8_388_608.0)
    };
    let expected: Vec<_> = x.iter().zip(indices).map(expected).collect();
    compare::f32_within(&expected, got).map_err(|difference| format!("{difference}; {call}"))
}

/// Runs `x` through the kernel, in place or not. An error if a byte around it changed.
fn run(gpu: &Gpu, call: &DropoutCall, x: &[f32], in_place: bool) -> Result<Vec<f32>, String> {
    let message = |error: &dyn std::error::Error| error.to_string();
    let kernel = GaussianDropout::new(&gpu.device, &KernelDescriptor::default());
    let kernel = kernel.map_err(|error| message(&error))?;
    let (len, mut image) = (x.len() as u64, Image::new(gpu));
    let input = image.place(bytemuck::cast_slice(x));
    let output = if in_place {
        input.clone()
    } else {
        image.place_for(len)
    };
    let buffer = image.upload(gpu);
    gpu.submit(|pass| {
        let output = binding(&buffer, &output, true);
        let bound = if in_place {
            kernel.bind_in_place(output, len)
        } else {
            kernel.bind(binding(&buffer, &input, true), output, len)
        };
        let bound = bound.map_err(|error| message(&error))?;
        kernel
            .encode(pass, &bound, call)
            .map_err(|error| message(&error))
    })?;
    let after = gpu.download(&buffer)?;
    image.check_outside(&after, std::slice::from_ref(&output))?;
    Ok(after[output]
        .iter()
        .map(|&bits| f32::from_bits(bits))
        .collect())
}

fn equals_the_twin(gpu: &Gpu) -> Result<(), String> {
    for (p, origin, len) in [
        (0.1, 0, 1000),
        // More elements than one task of the CPU path takes.
        (0.5, 3, 9001),
        (0.9, (1 << 34) - 5, 33),
        (0.5, (1 << 63) - 100, 100),
        // Pairs with the largest and with the smallest v >> 9 [M19].
        (0.5, 14_121_200, 16),
        (0.5, 24_482_380, 16),
        (0.0, 0, 50),
        (0.3, 1, 1),
        (0.3, 0, 0),
    ] {
        let (call, x) = (call(p, origin), values(len));
        for in_place in [false, true] {
            let got = run(gpu, &call, &x, in_place)?;
            check(&call, &x, &got)?;
        }
        let mut cpu = vec![0.0; x.len()];
        let call = call.with_kind(DropoutKind::Gaussian);
        cpu::apply(Direction::Forward, x.len(), (&x, &mut cpu), &call).map_err(text)?;
        check(&call, &x, &cpu)?;
    }
    Ok(())
}

/// Over 2^20 numbers, the mean is 1 and the variance p / (1 - p), within 5.2 standard errors. Over
/// the choice of keys, a false alarm has probability 4e-7.
fn moments(gpu: &Gpu) -> Result<(), String> {
    let (call, n) = (call(0.5, 0), 1 << 20);
    let got = run(gpu, &call, &vec![1.0; n], false)?;
    let sum = |power: i32| {
        got.iter()
            .map(|&y| (f64::from(y) - 1.0).powi(power))
            .sum::<f64>()
    };
    let root = (n as f64).sqrt();
    let (mean, variance) = (sum(1) / root, (sum(2) - n as f64) / root / 2f64.sqrt());
    if mean.abs() > 5.2 || variance.abs() > 5.2 {
        return Err(format!("{mean:.2} and {variance:.2} standard errors"));
    }
    Ok(())
}

fn refused_calls(gpu: &Gpu) -> Result<(), String> {
    let kernel = GaussianDropout::new(&gpu.device, &KernelDescriptor::default());
    let kernel = kernel.map_err(text)?;
    let buffer = gpu.upload(&[0; 64]);
    let bound = kernel.bind_in_place(buffer.as_entire_buffer_binding(), 64);
    let bound = bound.map_err(text)?;
    gpu.submit(|pass| {
        let origin = (1 << 63) - 63;
        let past = kernel.encode(pass, &bound, &call(0.5, origin));
        let all = kernel.encode(pass, &bound, &call(1.0, 0));
        let max = (1 << 63) - 1;
        let overflow = past_last(origin, 64, max);
        let rate = DropoutRate::new(1.0).map_err(text)?;
        if past != Err(overflow.into()) || all != Err(CallError::Rate { rate }) {
            return Err(format!("{past:?} and {all:?}"));
        }
        for kind in [DropoutKind::Classic, DropoutKind::Alpha] {
            let other = kernel.encode(pass, &bound, &call(0.5, 0).with_kind(kind));
            if !matches!(other, Err(CallError::Kind { kind: named, .. }) if named == kind) {
                return Err(format!("{kind}: {other:?}"));
            }
        }
        Ok(())
    })
}

/// Negative control: the comparison notices another call, and a NaN.
fn another_call_differs(gpu: &Gpu) -> Result<(), String> {
    let (right, x) = (call(0.5, 8), values(1000));
    let got = run(gpu, &right, &x, false)?;
    check(&right, &x, &got)?;
    for wrong in [right.with_origin(9), right.with_origin(12), call(0.49, 8)] {
        must_differ(wrong, check(&wrong, &x, &got))?;
    }
    let mut no_number = got;
    no_number[7] = f32::NAN;
    must_differ("a NaN", check(&right, &x, &no_number))
}
