//! The one-call convenience on slices gives what the three steps give.

use wgpu_dropout::{
    DropoutCall, DropoutKind, GaussianDropout, GaussianError, IndexOverflow, KernelDescriptor,
    MaskLayout, RunError,
};

use crate::adapters::Variant;
use crate::case::{Case, text};
use crate::common::inputs::{
    RATES, call, check_dropout, check_layout_mask, check_mask, indices, layout_indices, values,
};
use crate::common::kinds::{self, Direction};
use crate::common::reference;
use crate::gaussian;
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("dropout", dropout),
    Case::new("directions", directions),
    Case::new("layouts", layouts),
    Case::new("gaussian_noise", gaussian_noise),
    Case::new("masks", masks),
    Case::new("blocks", blocks),
    Case::new("indices_past_the_last", indices_past_the_last),
    Case::new("slices_that_do_not_fit_the_layout", slices_of_other_lengths),
    Case::new("refused_noise", refused_noise),
    Case::new("dropout_on_small_bindings", dropout).on(Variant::SmallBindings),
    Case::new("layouts_on_small_bindings", layouts).on(Variant::SmallBindings),
];

/// The call of a kind whose forward and backward differ.
fn alpha(p: f64, origin: u64) -> DropoutCall {
    let mut call = call(p, origin);
    call.rate = call.rate.with_kind(DropoutKind::Alpha);
    call
}

fn dropout(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 8, 1001, 70_000] {
        let x = values(len);
        for call in RATES.map(|p| call(p, 5)) {
            let got = gpu
                .dropout
                .apply_blocking(&gpu.queue, &x, &call)
                .map_err(text)?;
            check_dropout(&call, &x, &got)?;
        }
    }
    Ok(())
}

fn directions(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1001] {
        let (x, call) = (values(len), alpha(0.3, 5));
        let kept = kinds::kept(&call, indices(&call, len));
        let y = gpu.dropout.apply_blocking(&gpu.queue, &x, &call);
        let grad = gpu.dropout.backward_blocking(&gpu.queue, &x, &call);
        kinds::check(&call, Direction::Forward, &kept, &x, &y.map_err(text)?)?;
        kinds::check(&call, Direction::Backward, &kept, &x, &grad.map_err(text)?)?;
    }
    Ok(())
}

fn layouts(gpu: &Gpu) -> Result<(), String> {
    for layout in [
        MaskLayout::feature_channels_first(&[3, 5, 7]),
        MaskLayout::time_locked_batch_first(&[3, 9, 24]),
        MaskLayout::elementwise(&[13, 170]).and_then(|layout| layout.permuted(&[1, 0])),
        // More than a small binding's mask has bits for.
        MaskLayout::elementwise(&[130, 517]).and_then(|layout| layout.permuted(&[1, 0])),
        MaskLayout::elementwise(&[4, 0, 3]),
        MaskLayout::elementwise(&[]),
    ] {
        let (layout, call) = (layout.map_err(text)?, alpha(0.3, 5));
        let x = values(layout.len());
        let kept = kinds::kept(&call, layout_indices(&call, &layout));
        let (dropout, queue) = (&gpu.dropout, &gpu.queue);
        let y = dropout.apply_layout_blocking(queue, &x, &layout, &call);
        let grad = dropout.backward_layout_blocking(queue, &x, &layout, &call);
        kinds::check(&call, Direction::Forward, &kept, &x, &y.map_err(text)?)?;
        kinds::check(&call, Direction::Backward, &kept, &x, &grad.map_err(text)?)?;
        let mask = gpu
            .keep_mask
            .generate_layout_blocking(queue, &layout, &call);
        check_layout_mask(&call, &layout, &mask.map_err(text)?)?;
    }
    Ok(())
}

fn gaussian_noise(gpu: &Gpu) -> Result<(), String> {
    let kernel = GaussianDropout::new(&gpu.device, &KernelDescriptor::default()).map_err(text)?;
    for len in [0, 1, 1001] {
        let (x, call) = (values(len), call(0.3, (1 << 63) - 1001));
        let y = kernel.apply_blocking(&gpu.queue, &x, &call).map_err(text)?;
        if y.len() != x.len() {
            return Err(format!("{} elements of {len}", y.len()));
        }
        gaussian::check(&call, &x, &y)?;
    }
    Ok(())
}

fn masks(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 32, 1001, 70_000] {
        let call = call(0.3, 5);
        let got = gpu
            .keep_mask
            .generate_blocking(&gpu.queue, len, &call)
            .map_err(text)?;
        check_mask(&call, len, &got)?;
    }
    Ok(())
}

fn blocks(gpu: &Gpu) -> Result<(), String> {
    let (counter, key) = ([u32::MAX - 2, u32::MAX, u32::MAX, u32::MAX], [1, 2]);
    for rounds in [7, 10] {
        for len in [0, 1, 1000] {
            let got = gpu
                .philox(rounds)
                .generate_blocking(&gpu.queue, counter, key, len)
                .map_err(text)?;
            if got != reference::philox_blocks(rounds, counter, key, len) {
                return Err(format!("{len} blocks of {rounds} rounds differ"));
            }
        }
    }
    Ok(())
}

fn indices_past_the_last(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.5, u64::MAX - 8);
    let x = values(9);
    let got = gpu.dropout.apply_blocking(&gpu.queue, &x, &call);
    check_dropout(&call, &x, &got.map_err(text)?)?;

    let call = call.with_origin(u64::MAX - 7);
    let overflow = RunError::IndexOverflow(IndexOverflow {
        origin: u64::MAX - 7,
        len: 9,
    });
    let dropout = gpu.dropout.apply_blocking(&gpu.queue, &x, &call);
    let mask = gpu.keep_mask.generate_blocking(&gpu.queue, 9, &call);
    if dropout.as_ref() != Err(&overflow) || mask.as_ref() != Err(&overflow) {
        return Err(format!("{dropout:?}, {mask:?}"));
    }
    Ok(())
}

fn slices_of_other_lengths(gpu: &Gpu) -> Result<(), String> {
    let layout = MaskLayout::elementwise(&[2, 3]).map_err(text)?;
    let message = "the slice has 5 elements, the layout 6: make them equal";
    for elements in [0, 5, 7] {
        let (x, call) = (values(elements as u64), call(0.5, 0));
        let error = RunError::LayoutLength {
            elements,
            required: 6,
        };
        if elements == 5 && error.to_string() != message {
            return Err(error.to_string());
        }
        let (dropout, queue) = (&gpu.dropout, &gpu.queue);
        for got in [
            dropout.apply_layout_blocking(queue, &x, &layout, &call),
            dropout.backward_layout_blocking(queue, &x, &layout, &call),
        ] {
            if got != Err(error.clone()) {
                return Err(format!("{got:?}, not {error:?}"));
            }
        }
    }
    let overflow = RunError::IndexOverflow(IndexOverflow {
        origin: u64::MAX - 4,
        len: 6,
    });
    let call = call(0.5, u64::MAX - 4);
    let (dropout, queue) = (&gpu.dropout, &gpu.queue);
    let y = dropout.apply_layout_blocking(queue, &values(6), &layout, &call);
    let mask = gpu
        .keep_mask
        .generate_layout_blocking(queue, &layout, &call);
    if y.as_ref() != Err(&overflow) || mask.as_ref() != Err(&overflow) {
        return Err(format!("{y:?}, {mask:?}"));
    }
    Ok(())
}

fn refused_noise(gpu: &Gpu) -> Result<(), String> {
    let kernel = GaussianDropout::new(&gpu.device, &KernelDescriptor::default()).map_err(text)?;
    let origin = (1 << 63) - 8;
    for (call, error) in [
        (
            call(0.5, origin),
            GaussianError::IndexOverflow { origin, len: 9 },
        ),
        (call(1.0, 0), GaussianError::DropsAll { p: 1.0 }),
    ] {
        let check = GaussianDropout::check(&call, 9);
        let got = kernel.apply_blocking(&gpu.queue, &values(9), &call);
        if check != Err(error) || got != Err(RunError::Gaussian(error)) {
            return Err(format!("{check:?} and {got:?}, not {error:?}"));
        }
    }
    // The last eight indices, and none.
    for (origin, len) in [(origin, 8), (u64::MAX, 0)] {
        GaussianDropout::check(&call(0.5, origin), len).map_err(text)?;
    }
    Ok(())
}
