//! The CPU time to record a dispatch, compared with the same wgpu calls by hand.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use wgpu::{BufferUsages, ComputePass, Features};
use wgpu_dropout::{Dropout, DropoutBinding, DropoutCall, KernelDescriptor};

use super::gpu::checked;
use super::measure::in_rounds;
use super::samples::Samples;
use crate::engine::Gpu;

/// Dispatches in one pass.
pub const DISPATCHES: usize = 1000;

/// Elements of a dispatch. Their number does not matter, since nothing is submitted.
const ELEMENTS: u64 = 4096;

/// Parameters of as many bytes as the library's kernels take.
const PARAMS: [u8; 56] = [0; 56];

const KERNEL: &str = "
struct Params { words: array<vec2u, 7> }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(256)
fn by_hand(@builtin(global_invocation_id) id: vec3u) {
    output[id.x] = input[id.x] * f32(params.words[0].x);
}";

/// The way in which a dispatch is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `encode_forward` on a device with `IMMEDIATES`.
    Immediates,
    /// `encode_forward` on a device without `IMMEDIATES`.
    Uniforms,
    /// `set_pipeline`, `set_bind_group`, `set_immediates`, `dispatch_workgroups`.
    ByHand,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Immediates => "encode_forward, immediates",
            Self::Uniforms => "encode_forward, a uniform buffer each",
            Self::ByHand => "the same by hand, immediates",
        })
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recording {
    pub way: Way,
    /// CPU time of one dispatch.
    pub seconds: Samples,
}

/// Measures all ways that the device supports, each once per round.
pub fn measure(gpu: &Gpu, call: &DropoutCall, duration: Duration) -> Result<Vec<Recording>> {
    checked(&gpu.device, || measure_unchecked(gpu, call, duration))
}

fn measure_unchecked(gpu: &Gpu, call: &DropoutCall, duration: Duration) -> Result<Vec<Recording>> {
    let buffers = ["input", "output"].map(|label| {
        gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: size_of::<f32>() as u64 * ELEMENTS,
            usage: BufferUsages::STORAGE,
            mapped_at_creation: false,
        })
    });
    let uniforms = Library::new(gpu, &buffers, Features::IMMEDIATES)?;
    let mut ways: Vec<(Way, Box<Record<'_>>)> = Vec::new();
    if gpu.device.features().contains(Features::IMMEDIATES) {
        let immediates = Library::new(gpu, &buffers, Features::empty())?;
        let by_hand = ByHand::new(gpu, &buffers);
        ways.push((Way::ByHand, Box::new(move |pass| by_hand.record(pass))));
        ways.push((
            Way::Immediates,
            Box::new(move |pass| immediates.record(pass, call)),
        ));
    }
    ways.push((
        Way::Uniforms,
        Box::new(move |pass| uniforms.record(pass, call)),
    ));

    let mut rows: Vec<_> = ways
        .iter()
        .map(|&(way, _)| Recording {
            way,
            seconds: Samples::default(),
        })
        .collect();
    in_rounds(
        duration,
        |_| (),
        || {
            for (row, (_, record)) in rows.iter_mut().zip(&ways) {
                // The first run is not counted, since another way has changed the allocator and the
                // caches.
                time(gpu, record)?;
                let all = time(gpu, record)?;
                row.seconds.push(all.as_secs_f64() / DISPATCHES as f64);
            }
            Ok(())
        },
    )?;
    Ok(rows)
}

/// Records one dispatch.
type Record<'a> = dyn Fn(&mut ComputePass<'_>) -> Result<()> + 'a;

/// Times the recording of a pass, from the encoder's creation to its end.
fn time(gpu: &Gpu, record: &Record<'_>) -> Result<Duration> {
    let start = Instant::now();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    for _ in 0..DISPATCHES {
        record(&mut pass)?;
    }
    drop(pass);
    let commands = encoder.finish();
    let elapsed = start.elapsed();
    // Drop the commands now, so that the next measurement does not pay for it.
    drop(commands);
    gpu.device.poll(wgpu::PollType::Poll)?;
    Ok(elapsed)
}

struct Library {
    dropout: Dropout,
    binding: DropoutBinding,
}

impl Library {
    fn new(gpu: &Gpu, [input, output]: &[wgpu::Buffer; 2], avoid: Features) -> Result<Self> {
        let descriptor = KernelDescriptor {
            avoid,
            ..Default::default()
        };
        let dropout = Dropout::new(&gpu.device, &descriptor)?;
        let binding = dropout.bind(
            input.as_entire_buffer_binding(),
            output.as_entire_buffer_binding(),
            ELEMENTS,
        )?;
        Ok(Self { dropout, binding })
    }

    fn record(&self, pass: &mut ComputePass<'_>, call: &DropoutCall) -> Result<()> {
        Ok(self.dropout.encode_forward(pass, &self.binding, call)?)
    }
}

struct ByHand {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

impl ByHand {
    fn new(gpu: &Gpu, [input, output]: &[wgpu::Buffer; 2]) -> Self {
        let module = gpu
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("bench: by hand"),
                source: wgpu::ShaderSource::Wgsl(KERNEL.into()),
            });
        let pipeline = gpu
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("bench: by hand"),
                layout: None,
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                cache: None,
            });
        let entries = [(0, input), (1, output)].map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding,
            resource: buffer.as_entire_binding(),
        });
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("bench: by hand"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Self { pipeline, group }
    }

    fn record(&self, pass: &mut ComputePass<'_>) -> Result<()> {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.set_immediates(0, &PARAMS);
        pass.dispatch_workgroups(1, 1, 1);
        Ok(())
    }
}
