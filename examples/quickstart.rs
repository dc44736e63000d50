//! The smallest correct use: dropout on the caller's own device and buffers, forward and backward
//! in one pass, with the caller's own kernel between them.
//!
//! `cargo run --example quickstart`

use wgpu_dropout::{Dropout, DropoutCall, DropoutRate, KernelDescriptor, MaskKey};

const LEN: u64 = 20;

/// The caller's kernel: the gradient of the loss `sum(y * y) / 2` is `y`.
const LOSS_GRADIENT: &str = "
@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> grad_y: array<f32>;

@compute @workgroup_size(64)
fn loss_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&y) {
        grad_y[id.x] = y[id.x];
    }
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The caller's device. Both features are optional: they make dropout faster and change no
    // result.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    let fast = wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES;
    let required_features = adapter.features() & fast;
    let max_immediate_size = if required_features.contains(wgpu::Features::IMMEDIATES) {
        64
    } else {
        0
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features,
        required_limits: wgpu::Limits {
            max_immediate_size,
            ..wgpu::Limits::downlevel_defaults()
        },
        ..Default::default()
    }))?;

    // The caller's buffers.
    let tensor = |label| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: 4 * LEN,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (x, y, grad_y, grad_x) = (tensor("x"), tensor("y"), tensor("grad_y"), tensor("grad_x"));
    let ones = [1.0f32; LEN as usize];
    queue.write_buffer(&x, 0, bytemuck::cast_slice(&ones));

    // The caller's pipeline.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("loss_gradient"),
        source: wgpu::ShaderSource::Wgsl(LOSS_GRADIENT.into()),
    });
    let loss_gradient = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("loss_gradient"),
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let loss_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("loss_gradient"),
        layout: &loss_gradient.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry {
                binding: 0,
                resource: y.as_entire_binding(),
            },
            wgpu::BindGroupEntry {
                binding: 1,
                resource: grad_y.as_entire_binding(),
            },
        ],
    });

    // Once: build, then bind the buffers of the layer.
    let dropout = Dropout::new(&device, &KernelDescriptor::default())?;
    let forward = dropout.bind(
        x.as_entire_buffer_binding(),
        y.as_entire_buffer_binding(),
        LEN,
    )?;
    let backward = dropout.bind(
        grad_y.as_entire_buffer_binding(),
        grad_x.as_entire_buffer_binding(),
        LEN,
    )?;

    // Each step: make one call, and give it to forward and to backward.
    let (seed, layer, step) = (42, 0, 7);
    let call = DropoutCall::new(
        DropoutRate::new(0.5)?,
        MaskKey::layer_step(seed, layer, step),
    );
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    dropout.encode_forward(&mut pass, &forward, &call)?;
    pass.set_pipeline(&loss_gradient);
    pass.set_bind_group(0, &loss_group, &[]);
    pass.dispatch_workgroups(1, 1, 1);
    dropout.encode_backward(&mut pass, &backward, &call)?;
    drop(pass);
    let read = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size: 8 * LEN,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_buffer_to_buffer(&y, 0, &read, 0, 4 * LEN);
    encoder.copy_buffer_to_buffer(&grad_x, 0, &read, 4 * LEN, 4 * LEN);
    queue.submit([encoder.finish()]);

    read.map_async(wgpu::MapMode::Read, .., |mapped| {
        mapped.expect("read buffer");
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let view = read.get_mapped_range(..)?;
    let (y, grad_x) = view.split_at(4 * LEN as usize);
    println!("{call}");
    println!("y      = {:?}", bytemuck::cast_slice::<u8, f32>(y));
    println!("grad_x = {:?}", bytemuck::cast_slice::<u8, f32>(grad_x));
    Ok(())
}
