//! The launches of fused operations, dispatched by another host, give the same bits as the
//! library's handles.

use wgpu_dropout::launch::fused_launches;
use wgpu_dropout::launch::{ActOperand, Bound, FusedLaunch, FusedOperation, LaunchLimits};
use wgpu_dropout::wgsl::{BufferAccess, Role};
use wgpu_dropout::{
    ActDropout, ActInput, Activation, AdditiveMask, AttentionMask, Bias, Direction, DropoutAdd,
    DropoutAddNorm, DropoutCall, ElementType, Elements, KernelDescriptor, MaskLayout, MaskPlace,
    Norm, NormVectors, SavedSoftmax, Softmax, SoftmaxDropout, Vectors,
};

use crate::case::{Case, text};
use crate::common::elements::{packed, random_elements};
use crate::common::inputs::call;
use crate::gpu::Gpu;
use crate::launches;

pub const CASES: &[Case] = &[
    Case::new("add", add),
    Case::new("act", act),
    Case::new("add_norm", add_norm),
    Case::new("softmax", softmax),
    Case::new("another_key_differs", another_key_differs),
];

const COLUMNS: u32 = 24;

/// Number of rows. A device with small bindings must split them.
const ROWS: u64 = 300;

const ROLES: [Role; 9] = [
    Role::Input,
    Role::Residual,
    Role::Up,
    Role::Gradient,
    Role::Sum,
    Role::Output,
    Role::Masked,
    Role::Probabilities,
    Role::Vectors,
];

/// One buffer for each of [`ROLES`], with random elements.
struct Buffers(Vec<wgpu::Buffer>);

impl Buffers {
    fn new(gpu: &Gpu, element: ElementType, operation: &FusedOperation) -> Self {
        let buffer = |(salt, role)| {
            // Room for gate and up in one row, and for the wider type.
            let elements = match role {
                Role::Vectors => ElementType::F32,
                Role::Residual | Role::Output if is_wide(operation) => ElementType::F32,
                _ => element,
            };
            let len = 2 * ROWS * u64::from(COLUMNS);
            gpu.upload(&packed(
                elements,
                &random_elements(elements, len, 3.0, salt),
            ))
        };
        Self((0..).zip(ROLES).map(buffer).collect())
    }

    fn of(&self, role: Role) -> wgpu::BufferBinding<'_> {
        let number = ROLES.iter().position(|other| *other == role);
        self.0[number.expect("a role of ROLES")].as_entire_buffer_binding()
    }

    fn download(&self, gpu: &Gpu) -> Result<Vec<Vec<u32>>, String> {
        self.0.iter().map(|buffer| gpu.download(buffer)).collect()
    }
}

fn is_wide(operation: &FusedOperation) -> bool {
    matches!(operation, FusedOperation::Add { residual_is_f32, .. } if *residual_is_f32)
}

fn add(gpu: &Gpu) -> Result<(), String> {
    let vectors = [(0, 0), (COLUMNS, 0), (0, COLUMNS), (2 * COLUMNS, COLUMNS)];
    let add = |(bias_len, scale_len)| FusedOperation::Add {
        residual_is_f32: scale_len > 0,
        bias_len,
        scale_len,
    };
    check_all(gpu, vectors.map(add))
}

fn act(gpu: &Gpu) -> Result<(), String> {
    let halves = ActOperand::Halves { columns: COLUMNS };
    let inputs = [
        (ActOperand::One, COLUMNS),
        (ActOperand::Gated, COLUMNS),
        (ActOperand::Gated, 0),
        (halves, COLUMNS),
    ];
    let act = |(input, bias_len)| FusedOperation::Act {
        activation: Activation::Silu,
        input,
        bias_len,
    };
    check_all(gpu, inputs.map(act))
}

fn add_norm(gpu: &Gpu) -> Result<(), String> {
    let layer = (Norm::layer(1e-5).map_err(text)?, MaskPlace::Branch, COLUMNS);
    let rms = (Norm::rms(1e-5).map_err(text)?, MaskPlace::Output, 0);
    let add_norm = |(norm, place, bias_len)| FusedOperation::AddNorm {
        norm,
        place,
        columns: COLUMNS,
        bias_len,
    };
    check_all(gpu, [layer, rms].map(add_norm))
}

fn softmax(gpu: &Gpu) -> Result<(), String> {
    let causal = AttentionMask::Causal {
        rows_per_matrix: 10,
        offset: 3,
    };
    let additive = AttentionMask::Additive(2 * COLUMNS);
    let masks = [
        (AttentionMask::None, true),
        (additive, false),
        (causal, true),
    ];
    let softmax = Softmax::new(COLUMNS, 0.3).map_err(text)?;
    let operation = |(mask, probabilities)| FusedOperation::Softmax {
        softmax,
        mask,
        probabilities,
    };
    check_all(gpu, masks.map(operation))
}

/// Negative control: another key gives other bits.
fn another_key_differs(gpu: &Gpu) -> Result<(), String> {
    let operation = FusedOperation::Add {
        residual_is_f32: false,
        bias_len: 0,
        scale_len: 0,
    };
    let layout = MaskLayout::linear(ROWS * u64::from(COLUMNS));
    let mut other = call(0.5, 0);
    other.key.stream += 1;
    let site = Site {
        operation: &operation,
        layout: &layout,
        element: ElementType::F32,
        direction: Direction::Forward,
    };
    let [got, expected] = [&other, &call(0.5, 0)].map(|call| launched(gpu, &site, call, u64::MAX));
    match got? == expected? {
        true => Err("another key gave the same bits".into()),
        false => Ok(()),
    }
}

/// One operation on one tensor, in one direction.
#[derive(Debug)]
struct Site<'a> {
    operation: &'a FusedOperation,
    layout: &'a MaskLayout,
    element: ElementType,
    direction: Direction,
}

/// Checks each operation in both directions. The operations alternate between two tensors.
fn check_all<const N: usize>(gpu: &Gpu, operations: [FusedOperation; N]) -> Result<(), String> {
    let columns = u64::from(COLUMNS);
    let linear = MaskLayout::linear(ROWS * columns);
    let strided = MaskLayout::strided(&[ROWS, columns], &[40, 1]).map_err(text)?;
    let tensors = [
        (ElementType::F32, &linear, 0.5),
        (ElementType::Bf16, &strided, 0.1),
    ];
    for (operation, (element, layout, p)) in operations.iter().zip(tensors.iter().cycle()) {
        for &direction in Direction::ALL {
            let site = Site {
                operation,
                layout,
                element: *element,
                direction,
            };
            check(gpu, &site, &call(*p, 0))?;
        }
    }
    Ok(())
}

/// Compares all buffers after the launches with those after the handle's kernels, with large and
/// with small bindings.
fn check(gpu: &Gpu, site: &Site<'_>, call: &DropoutCall) -> Result<(), String> {
    let expected = Buffers::new(gpu, site.element, site.operation);
    bound(gpu, site, call, &expected)?;
    let expected = expected.download(gpu)?;
    for max_binding_bytes in [8192, u64::MAX] {
        let got = launched(gpu, site, call, max_binding_bytes)?;
        for (role, (got, expected)) in ROLES.iter().zip(got.iter().zip(&expected)) {
            if got != expected {
                return Err(format!(
                    "{role} of {site:?}, {max_binding_bytes} bytes a binding"
                ));
            }
        }
    }
    Ok(())
}

/// Runs the launches. Returns all buffers.
fn launched(
    gpu: &Gpu,
    site: &Site<'_>,
    call: &DropoutCall,
    max_binding_bytes: u64,
) -> Result<Vec<Vec<u32>>, String> {
    let limits = launches::limits(gpu);
    let limits = LaunchLimits {
        max_binding_bytes: max_binding_bytes.min(limits.max_binding_bytes),
        ..limits
    };
    let Site {
        operation,
        layout,
        element,
        direction,
    } = *site;
    let buffers = Buffers::new(gpu, element, operation);
    let launches = fused_launches(operation, layout, element, call, direction, limits);
    let launches = launches.map_err(text)?;
    // In backward, the gradients of gate and up overwrite them.
    let is_gated = matches!(
        operation,
        FusedOperation::Act {
            input: ActOperand::Gated,
            ..
        }
    );
    let output = match is_gated && direction == Direction::Backward {
        true => Role::Up,
        false => Role::Output,
    };
    let mut pipelines = Vec::new();
    gpu.submit(|pass| {
        for launch in launches {
            let of_launch = (launch.kernel, launch.way);
            if pipelines.iter().all(|(other, _)| *other != of_launch) {
                pipelines.push((of_launch, pipeline(gpu, &launch)));
            }
            let pipeline = pipelines.iter().find(|(other, _)| *other == of_launch);
            let (_, pipeline) = pipeline.ok_or("no pipeline")?;
            dispatch(gpu, pass, &launch, pipeline, |role| match role {
                Role::Output => buffers.of(output),
                Role::Input if backward_from_probabilities(site) => buffers.of(Role::Probabilities),
                role => buffers.of(role),
            });
        }
        Ok(())
    })?;
    buffers.download(gpu)
}

fn backward_from_probabilities(site: &Site<'_>) -> bool {
    let from_probabilities = matches!(
        site.operation,
        FusedOperation::Softmax { probabilities, .. } if *probabilities
    );
    from_probabilities && site.direction == Direction::Backward
}

/// The pipeline of a launch. Its layout is made from the launch's list of bindings alone.
fn pipeline(gpu: &Gpu, launch: &FusedLaunch) -> wgpu::ComputePipeline {
    let group = |group| {
        let bindings = launch.bindings.iter();
        let entries: Vec<_> = bindings
            .filter(|(buffer, _)| buffer.group == group)
            .map(|(buffer, _)| wgpu::BindGroupLayoutEntry {
                binding: buffer.binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match buffer.access {
                        BufferAccess::Uniform => wgpu::BufferBindingType::Uniform,
                        BufferAccess::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        _ => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        gpu.device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            })
    };
    let groups = [0, 1].map(group);
    let layout = gpu
        .device
        .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &groups.each_ref().map(Some),
            immediate_size: 0,
        });
    launches::pipeline(gpu, launch.kernel, launch.way, Some(&layout))
}

/// Records one launch from its own description alone, as another host would.
fn dispatch<'a>(
    gpu: &Gpu,
    pass: &mut wgpu::ComputePass<'_>,
    launch: &FusedLaunch,
    pipeline: &wgpu::ComputePipeline,
    buffer_of: impl Fn(Role) -> wgpu::BufferBinding<'a>,
) {
    pass.set_pipeline(pipeline);
    for group in [0, 1] {
        let of_group = launch
            .bindings
            .iter()
            .filter(|(buffer, _)| buffer.group == group);
        let windows: Vec<_> = of_group
            .map(|(buffer, bound)| {
                let window = match bound {
                    Bound::Range(bytes) => {
                        let whole = buffer_of(buffer.role);
                        (whole.buffer.clone(), bytes.clone())
                    }
                    Bound::Uniform(content) => uniform(gpu, content),
                    Bound::Unused => (gpu.upload(&[0; 4]), 0..16),
                };
                (buffer.binding, window)
            })
            .collect();
        let entries: Vec<_> = windows
            .iter()
            .map(|(binding, (buffer, bytes))| wgpu::BindGroupEntry {
                binding: *binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: bytes.start,
                    size: wgpu::BufferSize::new(bytes.end - bytes.start),
                }),
            })
            .collect();
        let group_of_kernel = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(group),
            entries: &entries,
        });
        pass.set_bind_group(group, &group_of_kernel, &[]);
    }
    pass.dispatch_workgroups(launch.workgroups, 1, 1);
}

/// A uniform buffer with this content, and the range of its bytes.
fn uniform(gpu: &Gpu, content: &[u8]) -> (wgpu::Buffer, std::ops::Range<u64>) {
    let bytes = content.len() as u64;
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&buffer, 0, content);
    (buffer, 0..bytes)
}

/// Records the operation with the library's handle.
fn bound(gpu: &Gpu, site: &Site<'_>, call: &DropoutCall, buffers: &Buffers) -> Result<(), String> {
    let of = |role| buffers.of(role);
    let descriptor = KernelDescriptor::default();
    let elements = Elements::from(site.layout).of_type(site.element);
    let is_forward = site.direction == Direction::Forward;
    match *site.operation {
        FusedOperation::Add {
            residual_is_f32,
            bias_len,
            scale_len,
        } => {
            let mut add = DropoutAdd::new(&gpu.device, &descriptor).map_err(text)?;
            if residual_is_f32 {
                add = add.with_f32_residual().map_err(text)?;
            }
            let numbers = of(Role::Vectors);
            let vectors = match (bias_len, scale_len) {
                (0, 0) => None,
                (0, _) => Some(Vectors::scale(numbers, scale_len)),
                (_, 0) => Some(Vectors::bias(numbers, bias_len)),
                _ => Some(Vectors::bias_and_scale(numbers, bias_len, scale_len)),
            };
            let (input, output) = (of(Role::Input), of(Role::Output));
            gpu.submit(|pass| match (is_forward, vectors) {
                (true, vectors) => {
                    let bound = add.bind(input, of(Role::Residual), output, vectors, elements);
                    add.encode_forward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
                (false, vectors) => {
                    // `bind_backward` needs vectors. A bias does not change the gradient.
                    let vectors = vectors.unwrap_or(Vectors::bias(of(Role::Vectors), 1));
                    let bound = add.bind_backward(input, output, vectors, elements);
                    add.encode_backward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
            })
        }
        FusedOperation::Act {
            activation,
            input,
            bias_len,
        } => {
            let act = ActDropout::new(&gpu.device, &descriptor, activation).map_err(text)?;
            let bias = (bias_len > 0).then(|| Bias::new(of(Role::Vectors), bias_len));
            let operand = match input {
                ActOperand::One => ActInput::One(of(Role::Input)),
                ActOperand::Gated => ActInput::Gated {
                    gate: of(Role::Input),
                    up: of(Role::Up),
                },
                ActOperand::Halves { columns } => ActInput::Halves {
                    rows: of(Role::Input),
                    columns,
                },
            };
            let (gradient, output) = (of(Role::Gradient), of(Role::Output));
            gpu.submit(|pass| match (is_forward, input) {
                (true, _) => {
                    let bound = act.bind(operand, output, bias, elements);
                    act.encode_forward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
                (false, ActOperand::Gated) => {
                    let bound = act.bind_backward_in_place(gradient, operand, bias, elements);
                    act.encode_backward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
                (false, _) => {
                    let bound = act.bind_backward(gradient, operand, output, bias, elements);
                    act.encode_backward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
            })
        }
        FusedOperation::AddNorm {
            norm,
            place,
            columns,
            bias_len,
        } => {
            let handle = DropoutAddNorm::new(&gpu.device, &descriptor, norm, place);
            let handle = handle.map_err(text)?;
            let vectors = match bias_len {
                0 => NormVectors::new(of(Role::Vectors), columns),
                _ => NormVectors::with_bias(of(Role::Vectors), columns, bias_len),
            };
            let (sum, output) = (of(Role::Sum), of(Role::Output));
            gpu.submit(|pass| match is_forward {
                true => {
                    let (input, residual) = (of(Role::Input), Some(of(Role::Residual)));
                    let bound = handle.bind(input, residual, Some(sum), output, vectors, elements);
                    handle
                        .encode_forward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
                false => {
                    let (gradient, masked) = (of(Role::Gradient), of(Role::Masked));
                    let bound =
                        handle.bind_backward(gradient, sum, output, masked, vectors, elements);
                    let bound = bound.map_err(text)?;
                    handle
                        .encode_backward(pass, &bound, call, false)
                        .map_err(text)
                }
            })
        }
        FusedOperation::Softmax {
            softmax,
            mask,
            probabilities,
        } => {
            let handle = SoftmaxDropout::new(&gpu.device, &descriptor).map_err(text)?;
            let mask = match mask {
                AttentionMask::Additive(len) => {
                    AttentionMask::Additive(AdditiveMask::new(of(Role::Vectors), len))
                }
                AttentionMask::Causal {
                    rows_per_matrix,
                    offset,
                } => AttentionMask::Causal {
                    rows_per_matrix,
                    offset,
                },
                _ => AttentionMask::None,
            };
            let (input, output) = (of(Role::Input), of(Role::Output));
            gpu.submit(|pass| match is_forward {
                true => {
                    let kept = probabilities.then(|| of(Role::Probabilities));
                    let bound = handle.bind(softmax, mask, input, output, kept, elements);
                    handle
                        .encode_forward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
                false => {
                    let saved = match probabilities {
                        true => SavedSoftmax::Probabilities(of(Role::Probabilities)),
                        false => SavedSoftmax::Scores(input),
                    };
                    let gradient = of(Role::Gradient);
                    let bound =
                        handle.bind_backward(softmax, mask, saved, gradient, output, elements);
                    handle
                        .encode_backward(pass, &bound.map_err(text)?, call)
                        .map_err(text)
                }
            })
        }
        ref other => Err(format!("{other:?} has no handle here")),
    }
}
