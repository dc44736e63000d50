//! Dropout in the caller's passes: each dispatch uses its own call, and the caller's kernels run
//! between them.

use crate::case::{Case, text};
use crate::common::compare;
use crate::common::inputs::{self, call, values};
use crate::gpu::Gpu;
use crate::run::MODES;

pub const CASES: &[Case] = &[
    Case::new("one_binding_serves_many_calls", one_binding_many_calls),
    Case::new("a_failed_call_leaves_the_pass_usable", failed_call),
    Case::new("own_kernels_before_and_after", own_kernels),
    Case::new("forward_backward_and_mask_in_one_pass", mixed),
];

const LEN: u64 = 1003;

/// Each call overwrites the whole output, so the last call's result is left.
fn one_binding_many_calls(gpu: &Gpu) -> Result<(), String> {
    let x = values(LEN);
    let input = gpu.upload(bytemuck::cast_slice(&x));
    let calls = (0..20_u32).map(|i| call(0.05 * f64::from(i), 1001 * u64::from(i)));
    let calls: Vec<_> = calls.collect();
    let outputs = calls.iter().map(|_| gpu.upload(&[0; LEN as usize]));
    let outputs: Vec<_> = outputs.collect();
    let bindings = outputs.iter().map(|output| gpu.bind(&input, output, LEN));
    let bindings = bindings.collect::<Result<Vec<_>, _>>()?;
    gpu.submit(|pass| {
        for (i, binding) in bindings.iter().enumerate() {
            for call in &calls[..=i] {
                MODES[0].encode(gpu, pass, binding, call)?;
            }
        }
        Ok(())
    })?;
    for (call, output) in calls.iter().zip(&outputs) {
        let got = gpu.download(output)?;
        inputs::check_dropout(call, &x, bytemuck::cast_slice(&got))?;
    }
    Ok(())
}

fn failed_call(gpu: &Gpu) -> Result<(), String> {
    let x = values(LEN);
    let data = gpu.upload(bytemuck::cast_slice(&x));
    let binding = gpu.bind_in_place(&data, LEN)?;
    let good = call(0.5, u64::MAX - (LEN - 1));
    let bad = good.with_origin(good.origin + 1);
    gpu.submit(|pass| {
        let refused = gpu.dropout.encode_forward(pass, &binding, &bad);
        if refused.is_ok() {
            return Err("an index past the last was taken".into());
        }
        MODES[0].encode(gpu, pass, &binding, &good)?;
        let refused = gpu.dropout.encode_backward(pass, &binding, &bad);
        refused.map_or(Ok(()), |()| Err("an index past the last was taken".into()))
    })?;
    let got = gpu.download(&data)?;
    inputs::check_dropout(&good, &x, bytemuck::cast_slice(&got))
}

/// A kernel of the caller, with its own pipeline layout, adds 1 to every element.
fn own_kernels(gpu: &Gpu) -> Result<(), String> {
    let add_one = gpu.pipeline(
        "@group(0) @binding(0) var<storage, read_write> data: array<f32>;
        @compute @workgroup_size(64)
        fn add_one(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < arrayLength(&data) { data[id.x] += 1.0; }
        }",
        Some("add_one"),
        None,
    );
    let x: Vec<f32> = (0..LEN).map(|element| element as f32 + 0.25).collect();
    let input = gpu.upload(bytemuck::cast_slice(&x));
    let output = gpu.upload(&[0; LEN as usize]);
    let groups =
        [&input, &output].map(|buffer| gpu.group(&add_one, [buffer.as_entire_buffer_binding()]));
    let call = call(0.5, 9);
    let binding = gpu.bind(&input, &output, LEN)?;
    let add_one = |pass: &mut wgpu::ComputePass<'_>, group| {
        pass.set_pipeline(&add_one);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(LEN.div_ceil(64) as u32, 1, 1);
    };
    gpu.submit(|pass| {
        add_one(pass, &groups[0]);
        MODES[0].encode(gpu, pass, &binding, &call)?;
        add_one(pass, &groups[1]);
        Ok(())
    })?;

    // No rounding: the values are small multiples of 1/4.
    let x: Vec<f32> = x.iter().map(|x| x + 1.0).collect();
    let y: Vec<f32> = inputs::dropout(&call, &x).iter().map(|y| y + 1.0).collect();
    compare::f32_copies(&y, bytemuck::cast_slice(&gpu.download(&output)?))
}

fn mixed(gpu: &Gpu) -> Result<(), String> {
    let (x, grad) = (values(LEN), values(2 * LEN)[LEN as usize..].to_vec());
    let call = call(0.1, 12_345);
    let input = gpu.upload(bytemuck::cast_slice(&x));
    let grads = gpu.upload(bytemuck::cast_slice(&grad));
    let output = gpu.upload(&[0; LEN as usize]);
    let mask = gpu.upload(&[0; LEN.div_ceil(32) as usize]);
    let forward = gpu.bind(&input, &output, LEN)?;
    let backward = gpu.bind_in_place(&grads, LEN)?;
    let keep_mask = gpu.keep_mask.bind(mask.as_entire_buffer_binding(), LEN);
    let keep_mask = keep_mask.map_err(text)?;
    gpu.submit(|pass| {
        MODES[0].encode(gpu, pass, &forward, &call)?;
        MODES[1].encode(gpu, pass, &backward, &call)?;
        gpu.keep_mask.encode(pass, &keep_mask, &call).map_err(text)
    })?;
    let download = |buffer| gpu.download(buffer);
    inputs::check_dropout(&call, &x, bytemuck::cast_slice(&download(&output)?))?;
    inputs::check_dropout(&call, &grad, bytemuck::cast_slice(&download(&grads)?))?;
    inputs::check_mask(&call, LEN, &download(&mask)?)
}
