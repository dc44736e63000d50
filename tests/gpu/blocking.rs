//! `run_blocking` on slices gives the same results as bind, record and read back.

use wgpu_dropout::{
    CallError, DropoutCall, DropoutKind, DropoutRate, MaskLayout, MaskSource, RunError,
    SourceError, cpu,
};

use crate::adapters::Variant;
use crate::case::{Case, text};
use crate::common::inputs::{
    RATES, call, check_dropout, check_layout_mask, check_mask, indices, layout_indices, past_last,
    values,
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
    Case::new("masks_of_packed_masks", masks_of_packed_masks),
    Case::new("sources_that_do_not_fit", sources_that_do_not_fit),
    Case::new("dropout_on_small_bindings", dropout).on(Variant::SmallBindings),
    Case::new("layouts_on_small_bindings", layouts).on(Variant::SmallBindings),
];

/// A call of alpha dropout, whose forward and backward differ.
fn alpha(p: f64, origin: u64) -> DropoutCall {
    call(p, origin).with_kind(DropoutKind::Alpha)
}

fn dropout(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 8, 1001, 70_000] {
        let x = values(len);
        for call in RATES.map(|p| call(p, 5)) {
            let got = gpu.run(Direction::Forward, len, &x, &call).map_err(text)?;
            check_dropout(&call, &x, &got)?;
        }
    }
    Ok(())
}

fn directions(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1001] {
        let (x, call) = (values(len), alpha(0.3, 5));
        let kept = kinds::kept(&call, indices(&call, len));
        for &direction in Direction::ALL {
            let y = gpu.run(direction, len, &x, &call);
            kinds::check(&call, direction, &kept, &x, &y.map_err(text)?)?;
        }
    }
    Ok(())
}

fn layouts(gpu: &Gpu) -> Result<(), String> {
    for layout in [
        MaskLayout::feature_channels_first(&[3, 5, 7]),
        MaskLayout::time_locked_batch_first(&[3, 9, 24]),
        MaskLayout::elementwise(&[13, 170]).and_then(|layout| layout.permuted(&[1, 0])),
        // More elements than the mask in a small binding has bits.
        MaskLayout::elementwise(&[130, 517]).and_then(|layout| layout.permuted(&[1, 0])),
        MaskLayout::elementwise(&[4, 0, 3]),
        MaskLayout::elementwise(&[]),
    ] {
        let (layout, call) = (layout.map_err(text)?, alpha(0.3, 5));
        let x = values(layout.len());
        let kept = kinds::kept(&call, layout_indices(&call, &layout));
        for &direction in Direction::ALL {
            let y = gpu.run(direction, &layout, &x, &call);
            kinds::check(&call, direction, &kept, &x, &y.map_err(text)?)?;
        }
        let mask = gpu.mask(&layout, &call).map_err(text)?;
        check_layout_mask(&call, &layout, &mask)?;
        // The same mask as a packed mask, and the ids that the samples have in order.
        let samples = layout.shape().first().copied().unwrap_or(1);
        let ids: Vec<u32> = (0..samples as u32).collect();
        let (mask, layout, ids, len) = (&mask[..], &layout, &ids[..], layout.len());
        for source in [
            MaskSource::Packed { mask, len },
            MaskSource::Samples { layout, ids },
        ] {
            let y = gpu.run(Direction::Backward, source, &x, &call);
            kinds::check(&call, Direction::Backward, &kept, &x, &y.map_err(text)?)?;
            if gpu.mask(source, &call).map_err(text)? != mask {
                return Err(format!("{source:?} has another mask"));
            }
        }
    }
    Ok(())
}

fn gaussian_noise(gpu: &Gpu) -> Result<(), String> {
    for len in [0, 1, 1001] {
        let (x, call) = (values(len), call(0.3, (1 << 63) - 1001));
        let call = call.with_kind(DropoutKind::Gaussian);
        let y = gpu.run(Direction::Forward, len, &x, &call).map_err(text)?;
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
        let got = gpu.mask(len, &call).map_err(text)?;
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
                .run_blocking(&gpu.queue, counter, key, len)
                .map_err(text)?;
            if got != reference::philox_blocks(rounds, counter, key, len) {
                return Err(format!("{len} blocks of {rounds} rounds differ"));
            }
        }
    }
    Ok(())
}

fn overflow(origin: u64, len: u64, max: u64) -> RunError {
    RunError::Call(CallError::IndexOverflow(past_last(origin, len, max)))
}

fn indices_past_the_last(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.5, u64::MAX - 8);
    let x = values(9);
    let got = gpu.run(Direction::Forward, x.len(), &x, &call);
    check_dropout(&call, &x, &got.map_err(text)?)?;

    let call = call.with_origin(u64::MAX - 7);
    let overflow = overflow(u64::MAX - 7, 9, u64::MAX);
    let dropout = gpu.run(Direction::Forward, x.len(), &x, &call);
    let mask = gpu.mask(9u64, &call);
    if dropout.as_ref() != Err(&overflow) || mask.as_ref() != Err(&overflow) {
        return Err(format!("{dropout:?}, {mask:?}"));
    }
    Ok(())
}

fn slices_of_other_lengths(gpu: &Gpu) -> Result<(), String> {
    let layout = MaskLayout::elementwise(&[2, 3]).map_err(text)?;
    let message = "the slices have 5 elements, the length or layout has 6: make them equal";
    for elements in [0, 5, 7] {
        let (x, call) = (values(elements as u64), call(0.5, 0));
        let error = RunError::Source(SourceError::Length {
            elements,
            required: 6,
        });
        if elements == 5 && error.to_string() != message {
            return Err(error.to_string());
        }
        for source in [MaskSource::Layout(&layout), MaskSource::Len(6)] {
            let got = gpu.run(Direction::Forward, source, &x, &call);
            if got != Err(error.clone()) {
                return Err(format!("{got:?}, not {error:?}"));
            }
        }
    }
    let overflow = overflow(u64::MAX - 4, 6, u64::MAX);
    let call = call(0.5, u64::MAX - 4);
    let y = gpu.run(Direction::Forward, &layout, &values(6), &call);
    let mask = gpu.mask(&layout, &call);
    if y.as_ref() != Err(&overflow) || mask.as_ref() != Err(&overflow) {
        return Err(format!("{y:?}, {mask:?}"));
    }
    Ok(())
}

fn refused_noise(gpu: &Gpu) -> Result<(), String> {
    let origin = (1 << 63) - 8;
    let noise = |p, origin| call(p, origin).with_kind(DropoutKind::Gaussian);
    let rate = DropoutRate::new(1.0).map_err(text)?;
    for (call, error) in [
        (noise(0.5, origin), overflow(origin, 9, (1 << 63) - 1)),
        (noise(1.0, 0), CallError::Rate { rate }.into()),
    ] {
        let check = call.check(&MaskLayout::linear(9)).map_err(RunError::from);
        let got = gpu.run(Direction::Forward, 9u64, &values(9), &call);
        if check != Err(error.clone()) || got != Err(error.clone()) {
            return Err(format!("{check:?} and {got:?}, not {error:?}"));
        }
    }
    let no_mask = gpu.mask(9u64, &noise(0.5, 0));
    if !matches!(no_mask, Err(RunError::Call(CallError::Kind { .. }))) {
        return Err(format!("{no_mask:?}"));
    }
    // The last eight indices, and an empty layout at the largest origin.
    for (origin, len) in [(origin, 8), (u64::MAX, 0)] {
        let layout = MaskLayout::linear(len);
        noise(0.5, origin).check(&layout).map_err(text)?;
    }
    Ok(())
}

fn masks_of_packed_masks(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.5, u64::MAX);
    let packed = [0xDEAD_BEEF, 0xFFFF_FFFD];
    for (len, expected) in [
        (64, &packed[..]),
        (33, &[0xDEAD_BEEF, 1]),
        (5, &[0xF]),
        (0, &[]),
    ] {
        let mask = &packed[..expected.len()];
        let source = MaskSource::Packed { mask, len };
        let got = gpu.mask(source, &call);
        if got.as_deref() != Ok(expected) {
            return Err(format!("{got:x?} of {len} elements, not {expected:x?}"));
        }
    }
    Ok(())
}

/// The GPU refuses the same sources as the CPU, with the same error text.
fn sources_that_do_not_fit(gpu: &Gpu) -> Result<(), String> {
    let layout = MaskLayout::elementwise(&[2, 3]).map_err(text)?;
    let wide = MaskLayout::strided(&[2, 3], &[1 << 32, 1]).and_then(|wide| wide.offset(1 << 32));
    let (wide, none) = (wide.map_err(text)?, MaskLayout::linear(0));
    let samples = |layout, ids| MaskSource::Samples { layout, ids };
    let packed = |mask, len| MaskSource::Packed { mask, len };
    let noise = call(0.5, 0).with_kind(DropoutKind::Gaussian);
    let past_last = call(0.5, u64::MAX);
    for (source, call) in [
        (samples(&layout, &[]), call(0.5, 0)),
        (samples(&layout, &[1]), call(0.5, 0)),
        (samples(&layout, &[1, 2, 3]), call(0.5, 0)),
        (samples(&none, &[1]), call(0.5, 0)),
        (samples(&wide, &[1, 2]), call(0.5, 0)),
        (samples(&layout, &[1, 2]), past_last),
        (MaskSource::Layout(&layout), past_last),
        (MaskSource::Len(6), past_last),
        (packed(&[], 6), call(0.5, 0)),
        (packed(&[1], 33), call(0.5, 0)),
        (packed(&[1, 2], 6), call(0.5, 0)),
        (packed(&[1], 0), call(0.5, 0)),
        (packed(&[1], 6), noise),
        (packed(&[], 0), noise),
    ] {
        let x = values(source.len());
        let (mut y, mut mask) = (x.clone(), vec![0; source.mask_words() as usize]);
        let direction = Direction::Forward;
        let on_cpu = [
            cpu::apply(direction, source, &mut y, &call).map_err(text),
            cpu::keep_mask(source, &mut mask, &call).map_err(text),
        ];
        let dropout = gpu.run(direction, source, &x, &call).map(drop);
        let mask = gpu.mask(source, &call).map(drop);
        let on_device = [dropout.map_err(text), mask.map_err(text)];
        if on_device != on_cpu || on_cpu.iter().any(Result::is_ok) {
            return Err(format!("{source:?}: {on_device:?}, not {on_cpu:?}"));
        }
    }
    Ok(())
}
