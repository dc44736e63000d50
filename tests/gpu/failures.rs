//! A failure on the device is an error of the call that fails, and of no other call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wgpu_dropout::audit::Outcome;
use wgpu_dropout::{
    BindError, Direction, Dropout, DropoutCall, DropoutKind, ElementType, Elements, KeepMask,
    KernelDescriptor, MaskLayout, MaskSource, PhiloxBlocks, RunError, audit, wgpu,
};

use crate::adapters::{SMALL_BUFFER_BYTES, Variant};
use crate::case::{Case, text};
use crate::common::inputs::{call, check_dropout, values};
use crate::gpu::Gpu;

pub const CASES: &[Case] = &[
    Case::new("a_lost_device_is_an_error", lost).on(Variant::Lost),
    Case::new("recording_for_a_lost_device_is_harmless", recorded).on(Variant::Lost),
    Case::new("a_buffer_too_large_is_an_error", too_large).on(Variant::SmallBuffers),
    Case::new(
        "a_buffer_that_the_device_does_not_bind_is_an_error",
        unbound,
    ),
    Case::new("a_queue_of_another_device_is_an_error", foreign_queues),
    Case::new("the_devices_own_queue_is_taken_while_others_poll", polled),
    #[cfg(target_os = "linux")]
    Case::new("memory_that_is_short_is_an_error", linux::short_memory).in_software(),
    #[cfg(target_os = "linux")]
    Case::new(
        "a_kernel_that_does_not_compile_is_an_error",
        linux::bad_kernel,
    )
    .on_mesas_gl(),
    Case::new("the_callers_errors_stay_the_callers", of_the_caller),
];

const LEN: usize = 1001;

/// Expects an error that came from the device.
fn expect_device_error<T>(what: &str, result: Result<T, RunError>) -> Result<(), String> {
    match result {
        Err(RunError::Device { message }) if !message.is_empty() => Ok(()),
        Err(error) => Err(format!("{what}: {error}")),
        Ok(_) => Err(format!("{what}: no error")),
    }
}

fn lost(gpu: &Gpu) -> Result<(), String> {
    let message = "the device is lost: request a new one, and make new kernels and buffers on it";
    expect_everywhere(gpu, &gpu.queue, &RunError::DeviceLost, message)
}

/// Expects this error from every blocking call, and this message in every check of the audit.
fn expect_everywhere(
    gpu: &Gpu,
    queue: &wgpu::Queue,
    expected: &RunError,
    message: &str,
) -> Result<(), String> {
    let (x, call) = (values(LEN as u64), call(0.3, 5));
    let layout = MaskLayout::feature_channels_first(&[7, 11, 13]).map_err(text)?;
    let (dropout, keep_mask) = (&gpu.dropout, &gpu.keep_mask);
    let noise = call.with_kind(DropoutKind::Gaussian);
    let run = |direction, source: MaskSource<'_>, call: &DropoutCall| {
        let run = dropout.run_blocking(queue, direction, source, &x, call);
        run.err()
    };
    for (what, error) in [
        ("forward", run(Direction::Forward, LEN.into(), &call)),
        ("backward", run(Direction::Backward, LEN.into(), &call)),
        ("layout", run(Direction::Forward, (&layout).into(), &call)),
        ("noise", run(Direction::Forward, LEN.into(), &noise)),
        ("mask", keep_mask.run_blocking(queue, LEN, &call).err()),
        (
            "blocks",
            gpu.philox(10).run_blocking(queue, [0; 4], [0; 2], 7).err(),
        ),
    ] {
        if error.as_ref() != Some(expected) || expected.to_string() != message {
            return Err(format!("{what}: {error:?}"));
        }
    }
    let report = pollster::block_on(audit::audit(&gpu.device, queue, |_| {}));
    for check in &report.checks {
        let told = match &check.outcome {
            Outcome::Failed { got, .. } => got == message,
            Outcome::NotApplicable { .. } => true,
            _ => false,
        };
        if !told {
            return Err(format!("{report}"));
        }
    }
    Ok(())
}

fn unbound(gpu: &Gpu) -> Result<(), String> {
    let (device, _queue) = request(&gpu.adapter)?;
    let foreign = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * LEN as u64,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let destroyed = gpu.upload(&[0; LEN]);
    destroyed.destroy();
    for buffer in [&foreign, &destroyed] {
        let data = buffer.as_entire_buffer_binding();
        match gpu.dropout.bind_in_place(data, LEN as u64) {
            Err(BindError::Refused { .. }) => {}
            got => return Err(format!("{got:?}")),
        }
    }
    works(gpu, &call(0.3, 5))
}

/// A queue is refused if it belongs to another device of the same adapter, or to another instance's
/// device. It is refused both while the device's own queue exists and after that is dropped.
fn foreign_queues(gpu: &Gpu) -> Result<(), String> {
    let info = gpu.adapter.get_info();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(info.backend.into()));
    let same_adapter = adapters
        .into_iter()
        .find(|adapter| adapter.get_info().name == info.name);
    let same_adapter = same_adapter.ok_or("the adapter is gone")?;
    let message = "the queue is not the device's: give the one that request_device returned with the \
                   device";
    for adapter in [&gpu.adapter, &same_adapter] {
        let (_device, foreign) = request(adapter)?;
        expect_everywhere(gpu, &foreign, &RunError::ForeignQueue, message)?;
        let (device, own) = request(&gpu.adapter)?;
        drop(own);
        let dropout = Dropout::new(&device, &KernelDescriptor::default()).map_err(text)?;
        let got =
            dropout.run_blocking(&foreign, Direction::Forward, 1u64, &[1.0f32], &call(0.3, 5));
        if got != Err(RunError::ForeignQueue) {
            return Err(format!("{got:?}"));
        }
    }
    works(gpu, &call(0.3, 5))
}

fn request(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue), String> {
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits::downlevel_defaults(),
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor)).map_err(text)
}

/// Another thread may poll the device and so finish the work that a call waits for.
fn polled(gpu: &Gpu) -> Result<(), String> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let _ = gpu.device.poll(wgpu::PollType::Poll);
            }
        });
        let result = (0..50).try_for_each(|origin| works(gpu, &call(0.3, origin)));
        ended.store(true, Ordering::Relaxed);
        result
    })
}

fn expect_failed_audit(gpu: &Gpu) -> Result<(), String> {
    let report = pollster::block_on(audit::audit(&gpu.device, &gpu.queue, |_| {}));
    match report.passed() {
        true => Err("the audit passes".into()),
        false => Ok(()),
    }
}

/// If the caller records on a lost device, wgpu reports that to the caller's error scopes. The
/// library adds no error.
fn recorded(gpu: &Gpu) -> Result<(), String> {
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = record(gpu);
    pollster::block_on(scope.pop());
    result
}

fn record(gpu: &Gpu) -> Result<(), String> {
    let descriptor = KernelDescriptor::default();
    let call = call(0.3, 5);
    let [input, output] = [(); 2].map(|()| gpu.upload(&[0; LEN]));
    let elements = Elements::from(LEN as u64).of_type(ElementType::F32);
    let dropout = Dropout::new(&gpu.device, &descriptor).map_err(text)?;
    let [from, to] = [&input, &output].map(wgpu::Buffer::as_entire_buffer_binding);
    let binding = dropout.bind(from, to, elements).map_err(text)?;
    dropout.compile(&binding, &call).map_err(text)?;
    gpu.submit(|pass| dropout.encode_forward(pass, &binding, &call).map_err(text))?;
    KeepMask::new(&gpu.device, &descriptor).map_err(text)?;
    PhiloxBlocks::new(&gpu.device, &descriptor, 10).map_err(text)?;
    Ok(())
}

fn too_large(gpu: &Gpu) -> Result<(), String> {
    let call = call(0.3, 5);
    // `run_blocking` does not split a tensor with a layout, so its buffer is too large.
    let layout = MaskLayout::elementwise(&[2, SMALL_BUFFER_BYTES / 4])
        .and_then(|layout| layout.permuted(&[1, 0]))
        .map_err(text)?;
    let x = values(layout.len());
    let result = gpu.run(Direction::Forward, &layout, &x, &call);
    let error = BindError::BufferTooLong {
        bytes: 2 * SMALL_BUFFER_BYTES,
        max_bytes: SMALL_BUFFER_BYTES,
    };
    let message = "a buffer of 131072 bytes is needed, the device creates 65536 at most \
                   (max_buffer_size): give the layout in shards, or request the device with a higher \
                   limit";
    if result != Err(error.clone().into()) || error.to_string() != message {
        return Err(format!("{result:?}, {error}"));
    }
    works(gpu, &call)
}

/// The caller's open error scope keeps the caller's own error. Calls see neither that error nor the
/// scope.
fn of_the_caller(gpu: &Gpu) -> Result<(), String> {
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    works(gpu, &call(0.3, 5))?;
    let _ = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("test: usages that do not go together"),
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE,
        mapped_at_creation: false,
    });
    works(gpu, &call(0.4, 6))?;
    match pollster::block_on(scope.pop()) {
        Some(_) => Ok(()),
        None => Err("the caller's scope has lost the caller's error".into()),
    }
}

fn works(gpu: &Gpu, call: &DropoutCall) -> Result<(), String> {
    let x = values(LEN as u64);
    let got = gpu.run(Direction::Forward, LEN, &x, call);
    check_dropout(call, &x, &got.map_err(text)?)
}

/// Cases that disturb the driver, so each runs in a process of its own.
#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::process::Command;
    use std::{env, fs, process};

    use super::*;

    /// The variable that marks a process as the child of a case.
    const CHILD: &str = "WGPU_DROPOUT_CHILD";

    /// Bytes that the process may still map. That is enough for everything except the buffers.
    const ROOM_BYTES: u64 = 128 << 20;

    const ELEMENTS: u64 = 1 << 26;

    /// Runs a case in a child process with these environment variables.
    fn in_child(gpu: &Gpu, case: &str, variables: &[(&str, &Path)]) -> Result<(), String> {
        let info = gpu.device.adapter_info();
        let this = format!("failures::{case} [{}/{}]", info.backend, info.name);
        let mut child = Command::new(env::current_exe().map_err(text)?);
        child.args(["--exact", &this]).env(CHILD, "1");
        let output = child.envs(variables.iter().copied()).output();
        let output = output.map_err(text)?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        match output.status.success() && stdout.contains("1 passed") {
            true => Ok(()),
            false => Err(format!("{}: {stdout}", output.status)),
        }
    }

    /// Mesa can write the texts that it compiles, and read other texts in their place.
    pub fn bad_kernel(gpu: &Gpu) -> Result<(), String> {
        const READ: &str = "MESA_SHADER_READ_PATH";
        if env::var_os(CHILD).is_some() {
            return run_kernel(gpu, env::var_os(READ).is_some());
        }
        let folder = tempfile::tempdir().map_err(text)?;
        let run = |variable| {
            let variables = [(variable, folder.path())];
            in_child(
                gpu,
                "a_kernel_that_does_not_compile_is_an_error",
                &variables,
            )
        };
        run("MESA_SHADER_DUMP_PATH")?;
        for file in fs::read_dir(folder.path()).map_err(text)?.flatten() {
            // Texts that are wgpu's own stay.
            if fs::read_to_string(file.path()).is_ok_and(|text| text.contains("dropout_philox")) {
                fs::write(file.path(), "no kernel").map_err(text)?;
            }
        }
        run(READ)
    }

    fn run_kernel(gpu: &Gpu, is_bad: bool) -> Result<(), String> {
        let (queue, call) = (&gpu.queue, call(0.3, 5));
        let mask = gpu.keep_mask.run_blocking(queue, LEN, &call);
        if !is_bad {
            return mask.map(drop).map_err(text);
        }
        expect_device_error("mask", mask)?;
        expect_failed_audit(gpu)
    }

    /// Runs in a child, since the driver may end the process.
    pub fn short_memory(gpu: &Gpu) -> Result<(), String> {
        if env::var_os(CHILD).is_some() {
            return run_short(gpu);
        }
        in_child(gpu, "memory_that_is_short_is_an_error", &[])
    }

    fn run_short(gpu: &Gpu) -> Result<(), String> {
        let call = call(0.3, 5);
        works(gpu, &call)?;
        let x = vec![0.0_f32; ELEMENTS as usize];
        // `run_blocking` does not split a tensor with a layout, so its buffers are large.
        let layout = MaskLayout::elementwise(&[2, ELEMENTS / 2])
            .and_then(|layout| layout.permuted(&[1, 0]))
            .map_err(text)?;
        limit_bytes(mapped_bytes()? + ROOM_BYTES)?;
        let result = gpu.run(Direction::Forward, &layout, &x, &call);
        match result {
            // One buffer to compute in, and one to read back from.
            Err(RunError::OutOfMemory { bytes, .. }) if bytes == 2 * 4 * ELEMENTS => Ok(()),
            // wgpu's OpenGL backend does not say that memory is short, and loses the device.
            Err(RunError::DeviceLost) if gpu.device.adapter_info().backend == wgpu::Backend::Gl => {
                Ok(())
            }
            result => Err(format!("{:?}", result.map(|y| y.len()))),
        }
    }

    /// Limits the bytes of memory that this process may map in all.
    fn limit_bytes(bytes: u64) -> Result<(), String> {
        let id = process::id().to_string();
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &id, &format!("--as={bytes}")]);
        match prlimit.status().map_err(text)?.success() {
            true => Ok(()),
            false => Err(format!("{prlimit:?} failed")),
        }
    }

    fn mapped_bytes() -> Result<u64, String> {
        let status = fs::read_to_string("/proc/self/status").map_err(text)?;
        let mut words = status
            .split_whitespace()
            .skip_while(|&word| word != "VmSize:");
        let kibibytes: Option<u64> = words.nth(1).and_then(|word| word.parse().ok());
        Ok(kibibytes.ok_or(status)? << 10)
    }
}
