//! Launches for another runtime give the same bits. They use one bind group with ranges of one
//! buffer, and parameters in a storage buffer.

use wgpu_dropout::half::f16;
use wgpu_dropout::launch::{Launch, LaunchLimits, launches};
use wgpu_dropout::wgsl::{Variant, Way};
use wgpu_dropout::{Direction, DropoutCall, Element, ElementType, MaskLayout};

use crate::case::{Case, must_differ, text};
use crate::common::inputs::{self, call, check_layout, values};
use crate::common::kinds;
use crate::gpu::Gpu;
use crate::image::CANARY;

pub const CASES: &[Case] = &[
    Case::new("linear", linear),
    Case::new("layouts", layouts),
    Case::new("in_pieces", in_pieces),
    Case::new("odd_f16", odd_f16),
    Case::new("another_key_differs", another_key_differs),
];

fn linear(gpu: &Gpu) -> Result<(), String> {
    for len in [1, 31, 1000, 1024, 65_537] {
        for (p, origin) in [(0.5, 0), (0.1, 3), (0.0, 0), (1.0, 0)] {
            check(gpu, limits(gpu), &MaskLayout::linear(len), &call(p, origin))?;
        }
    }
    Ok(())
}

/// Layouts whose rows have whole blocks or not, whose runs have whole blocks or not, and a
/// scattered one.
const SHAPES: [([u64; 3], [u64; 3]); 5] = [
    ([3, 5, 40], [1000, 40, 1]),
    ([3, 5, 64], [640, 128, 1]),
    ([3, 5, 33], [5, 1, 0]),
    ([3, 5, 64], [5, 1, 0]),
    ([4, 7, 9], [1, 4, 28]),
];

fn layouts(gpu: &Gpu) -> Result<(), String> {
    for (shape, strides) in SHAPES {
        let layout = MaskLayout::strided(&shape, &strides).map_err(text)?;
        for (p, origin) in [(0.5, 0), (0.1, 3), (0.0, 0)] {
            check(gpu, limits(gpu), &layout, &call(p, origin))?;
        }
    }
    Ok(())
}

/// Small bindings and few workgroups split the tensor into several launches.
fn in_pieces(gpu: &Gpu) -> Result<(), String> {
    let [mut narrow, mut short] = [limits(gpu); 2];
    narrow.max_binding_bytes = 4096;
    short.max_workgroups = 1;
    let rows = MaskLayout::strided(&[50, 70], &[100, 1]).map_err(text)?;
    for limits in [narrow, short] {
        for layout in [&MaskLayout::linear(20_001), &rows] {
            check(gpu, limits, layout, &call(0.5, 0))?;
        }
    }
    Ok(())
}

/// An odd number of f16 elements ends inside a word. The other half of that word must not change.
fn odd_f16(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.4, 3);
    for layout in [
        MaskLayout::linear(1),
        MaskLayout::linear(20_001),
        MaskLayout::strided(&[5, 33], &[40, 1]).map_err(text)?,
    ] {
        let x: Vec<f16> = values(layout.len())
            .into_iter()
            .map(f16::from_f32)
            .collect();
        for max_binding_bytes in [4096, limits(gpu).max_binding_bytes] {
            let mut limits = limits(gpu);
            limits.max_binding_bytes = max_binding_bytes;
            let got = run(gpu, limits, &layout, &call, &x)?;
            let kept = kinds::kept(&call, inputs::layout_indices(&call, &layout));
            kinds::check_elements(&call, Direction::Forward, &kept, &x, &got)?;
        }
    }
    Ok(())
}

/// Negative control: another key gives other bits.
fn another_key_differs(gpu: &Gpu) -> Result<(), String> {
    let layout = MaskLayout::linear(1000);
    let (right, mut wrong) = (call(0.5, 0), call(0.5, 0));
    wrong.key.stream += 1;
    let x = values(1000);
    let got = run(gpu, limits(gpu), &layout, &wrong, &x)?;
    must_differ("another key", check_layout(&right, &layout, &x, &got))
}

pub fn limits(gpu: &Gpu) -> LaunchLimits {
    let limits = gpu.device.limits();
    LaunchLimits {
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        offset_alignment_bytes: limits.min_storage_buffer_offset_alignment,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        int64: gpu.device.features().contains(wgpu::Features::SHADER_INT64),
    }
}

fn check(
    gpu: &Gpu,
    limits: LaunchLimits,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<(), String> {
    let x = values(layout.len());
    let got = run(gpu, limits, layout, call, &x)?;
    check_layout(call, layout, &x, &got)
        .map_err(|difference| format!("{call}, {layout:?}, {limits:?}: {difference}"))
}

/// Input and output are the halves of one buffer. Bytes after the output must not change.
fn run<T: Element>(
    gpu: &Gpu,
    limits: LaunchLimits,
    layout: &MaskLayout,
    call: &DropoutCall,
    x: &[T],
) -> Result<Vec<T>, String> {
    let bytes = size_of_val(x);
    let half = bytes.div_ceil(4).next_multiple_of(gpu.granule_words());
    let mut words = vec![CANARY; 2 * half];
    bytemuck::cast_slice_mut(&mut words)[..bytes].copy_from_slice(bytemuck::cast_slice::<T, u8>(x));
    let pool = gpu.upload(&words);
    let launches = launches(layout, T::TYPE, call, Direction::Forward, limits).map_err(text)?;
    gpu.submit(|pass| {
        for launch in launches {
            record(gpu, T::TYPE, pass, &pool, 4 * half as u64, &launch);
        }
        Ok(())
    })?;
    let result = gpu.download(&pool)?;
    let [before, after] = [&words, &result].map(|words| bytemuck::cast_slice::<u32, u8>(words));
    if before[4 * half + bytes..] != after[4 * half + bytes..] {
        return Err("bytes behind the output changed".into());
    }
    Ok(bytemuck::pod_collect_to_vec(
        &after[4 * half..4 * half + bytes],
    ))
}

/// Makes a pipeline from a kernel's text alone, as another host would.
pub fn pipeline(
    gpu: &Gpu,
    kernel: Variant,
    way: Way,
    layout: Option<&wgpu::PipelineLayout>,
) -> wgpu::ComputePipeline {
    gpu.pipeline(&kernel.text(way), Some(kernel.entry_point()), layout)
}

fn record(
    gpu: &Gpu,
    element: ElementType,
    pass: &mut wgpu::ComputePass<'_>,
    pool: &wgpu::Buffer,
    output_offset: u64,
    launch: &Launch,
) {
    let pipeline = pipeline(gpu, launch.kernel, launch.way, None);
    let [start, end] =
        [launch.elements.start, launch.elements.end].map(|elements| elements * element.bytes());
    let window = |offset: u64| wgpu::BufferBinding {
        buffer: pool,
        offset: offset + start,
        size: wgpu::BufferSize::new(end.next_multiple_of(4) - start),
    };
    let params = gpu.upload(bytemuck::cast_slice(&launch.params));
    let params = params.as_entire_buffer_binding();
    let group = gpu.group(&pipeline, [window(0), window(output_offset), params]);
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(launch.workgroups, 1, 1);
}
