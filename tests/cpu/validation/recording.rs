//! Counts the allocations of recording, and those of the same wgpu calls by hand. Recording must
//! not compile anything twice, since compiling allocates.

use std::hint::black_box;

use wgpu::BufferBindingType::{Storage, Uniform};
use wgpu::{BufferBindingType, ComputePass, Features};
use wgpu_dropout::{
    Dropout, DropoutBinding, DropoutKind, Elements, KernelDescriptor, MaskLayout, ParameterPath,
};

use super::device::{Noop, limits, range};
use crate::common::inputs::{call, kind_call};

/// Number of calls in one pass.
const CALLS: u64 = 100;

/// One element more than a single dispatch takes, so that there are two dispatches.
const LONG: u64 = (1 << 16) + 1;

/// As many bytes of parameters as a kernel of the library takes.
const PARAMS: [u8; 64] = [0; 64];

const KERNEL: &str = "
struct Params { words: array<vec2u, 8> }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(256)
fn by_hand(@builtin(global_invocation_id) id: vec3u) {
    output[id.x] = input[id.x] * params.words[0].x;
}";

/// Gaussian noise refuses packed masks, the only extra buffer that is read-only storage.
fn goes_with(kind: DropoutKind, extra: Option<BufferBindingType>) -> bool {
    kind != DropoutKind::Gaussian || !matches!(extra, Some(Storage { .. }))
}

/// A device with IMMEDIATES, and buffers.
struct Recorder {
    noop: Noop,
    input: wgpu::Buffer,
    output: wgpu::Buffer,
    extra: wgpu::Buffer,
}

impl Recorder {
    fn new() -> Self {
        let limits = limits(|limits| limits.max_immediate_size = 64);
        let noop = Noop::new(Features::IMMEDIATES, limits);
        let [input, output] = [(); 2].map(|()| noop.buffer(4 * LONG));
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM;
        let extra = noop.buffer_for(1024, usage);
        Self {
            noop,
            input,
            output,
            extra,
        }
    }

    fn bind<'a>(&'a self, elements: impl Into<Elements<'a>>) -> DropoutBinding {
        let (input, output) = (range(&self.input, 0, 0), range(&self.output, 0, 0));
        let dropout = &self.noop.dropout;
        dropout.bind(input, output, elements.into()).unwrap()
    }

    /// One binding for each source of decisions, and the type of its third buffer.
    fn bindings(&self) -> [(DropoutBinding, Option<BufferBindingType>); 4] {
        let strided = MaskLayout::strided(&[6, 32], &[40, 1]).unwrap();
        let packed = Elements::packed(range(&self.extra, 0, 0), 1024);
        [
            (self.bind(1024), None),
            (self.bind(LONG), None),
            (self.bind(&strided), Some(Uniform)),
            (self.bind(packed), Some(Storage { read_only: true })),
        ]
    }

    /// A pipeline and a bind group for one dispatch by hand.
    fn by_hand(
        &self,
        extra: Option<BufferBindingType>,
    ) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
        let device = &self.noop.device;
        let types = [Storage { read_only: true }, Storage { read_only: false }];
        let types = types.into_iter().chain(extra);
        let layout_entries: Vec<_> = (0..)
            .zip(types)
            .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &layout_entries,
        });
        let buffers = [&self.input, &self.output, &self.extra];
        let entries: Vec<_> = layout_entries
            .iter()
            .zip(buffers)
            .map(|(entry, buffer)| wgpu::BindGroupEntry {
                binding: entry.binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &layout,
            entries: &entries,
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: PARAMS.len() as u32,
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(KERNEL.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&layout),
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        (pipeline, group)
    }

    /// Allocations of one encoder, from its creation to `finish`, with [`CALLS`] calls of `record`.
    fn allocations(&self, mut record: impl FnMut(&mut ComputePass<'_>)) -> u64 {
        let info = allocation_counter::measure(|| {
            let mut encoder = self.noop.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..CALLS {
                record(&mut pass);
            }
            drop(pass);
            encoder.finish();
        });
        info.count_total
    }
}

#[test]
fn allocates_no_more_than_the_same_calls_by_hand() {
    let recorder = Recorder::new();
    let dropout = &recorder.noop.dropout;
    for (binding, extra) in recorder.bindings() {
        let dispatches: Vec<_> = (0..binding.dispatches())
            .map(|_| recorder.by_hand(extra))
            .collect();
        let by_hand = || {
            recorder.allocations(|pass| {
                for (pipeline, group) in &dispatches {
                    pass.set_pipeline(pipeline);
                    pass.set_bind_group(0, group, &[]);
                    pass.set_immediates(0, &PARAMS);
                    pass.dispatch_workgroups(1, 1, 1);
                }
            })
        };
        // The first run lets the device allocate what it keeps.
        recorder.noop.without_errors(by_hand);
        let by_hand = by_hand();
        for encode in [Dropout::encode_forward, Dropout::encode_backward] {
            let noise = kind_call(0.3, 0, DropoutKind::Gaussian);
            for call in [call(0.3, 0), call(0.0, 0), noise] {
                if !goes_with(call.kind, extra) {
                    continue;
                }
                let record = |pass: &mut ComputePass<'_>| {
                    encode(dropout, pass, &binding, &call).unwrap();
                };
                // The first run compiles the kernels.
                recorder
                    .noop
                    .without_errors(|| recorder.allocations(record));
                let library = recorder.allocations(record);
                assert!(
                    library <= by_hand,
                    "{library}, by hand {by_hand}: {binding:?}, {call:?}"
                );
                // Negative control: one more allocation a call is counted.
                let more = recorder.allocations(|pass| {
                    record(pass);
                    black_box(Box::new(0));
                });
                assert_eq!(more, library + CALLS);
            }
        }
    }
}

/// With uniforms, each dispatch allocates a buffer and a bind group; with immediates neither.
#[test]
fn the_path_that_a_handle_names_is_the_one_it_takes() {
    let recorder = Recorder::new();
    let (binding, call) = (recorder.bind(1024), call(0.3, 0));
    let allocations = [Features::empty(), Features::IMMEDIATES].map(|avoid| {
        let descriptor = KernelDescriptor {
            avoid,
            ..Default::default()
        };
        let dropout = Dropout::new(&recorder.noop.device, &descriptor).unwrap();
        let record = |pass: &mut ComputePass<'_>| {
            dropout.encode_forward(pass, &binding, &call).unwrap();
        };
        recorder
            .noop
            .without_errors(|| recorder.allocations(record));
        (dropout.parameter_path(), recorder.allocations(record))
    });
    let [
        (ParameterPath::Immediates, few),
        (ParameterPath::Uniform(_), many),
    ] = allocations
    else {
        panic!("{allocations:?}");
    };
    assert!(many > few + 2 * CALLS, "{allocations:?}");
}

#[test]
fn compiles_nothing_after_compile() {
    let recorder = Recorder::new();
    let device = &recorder.noop.device;
    for (kind, p) in [
        (DropoutKind::Inverted, 0.3),
        (DropoutKind::Inverted, 0.0),
        (DropoutKind::Classic, 0.3),
        (DropoutKind::Alpha, 0.3),
        (DropoutKind::Gaussian, 0.3),
    ] {
        for origin in [0, 3] {
            let before = kind_call(p, origin, kind);
            let call = kind_call(p / 2.0, origin + 800, kind);
            for (binding, extra) in recorder.bindings() {
                if !goes_with(kind, extra) {
                    continue;
                }
                let compiles = |dropout: &Dropout| {
                    let record = |pass: &mut ComputePass<'_>| {
                        dropout.encode_forward(pass, &binding, &call).unwrap();
                        dropout.encode_backward(pass, &binding, &call).unwrap();
                    };
                    recorder.allocations(record) != recorder.allocations(record)
                };
                let [cold, warm] =
                    [(); 2].map(|()| Dropout::new(device, &Default::default()).unwrap());
                recorder
                    .noop
                    .without_errors(|| warm.compile(&binding, &before).unwrap());
                assert!(compiles(&cold), "{binding:?}, {call:?}");
                assert!(!compiles(&warm), "{binding:?}, {call:?}");
            }
        }
    }
}
