//! wgpu's noop device, and handles on it.

use std::fmt::{Debug, Display};

use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{
    BindError, Dropout, DropoutBinding, Elements, KeepMask, KernelDescriptor, PhiloxBlocks,
};

/// A device and the handles on it.
pub struct Noop {
    pub device: wgpu::Device,
    /// Kept alive because command encoders need it.
    _queue: wgpu::Queue,
    pub dropout: Dropout,
    pub keep_mask: KeepMask,
    pub philox: PhiloxBlocks,
}

/// A device with these features and limits.
pub fn device(features: wgpu::Features, limits: wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
    let descriptor = wgpu::DeviceDescriptor {
        required_features: features,
        required_limits: limits,
        ..Default::default()
    };
    wgpu::Device::noop(&descriptor)
}

/// Two devices of one instance, both with these features.
pub fn two_devices(features: wgpu::Features) -> [(wgpu::Device, wgpu::Queue); 2] {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        backend_options: wgpu::BackendOptions {
            noop: wgpu::NoopBackendOptions::enabled(),
            ..Default::default()
        },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    [(); 2].map(|()| {
        let descriptor = wgpu::DeviceDescriptor {
            required_features: features,
            ..Default::default()
        };
        pollster::block_on(adapter.request_device(&descriptor)).unwrap()
    })
}

impl Noop {
    /// A device with these features and limits.
    pub fn new(features: wgpu::Features, limits: wgpu::Limits) -> Self {
        Self::on(device(features, limits))
    }

    /// Builds the handles on this device.
    pub fn on((device, queue): (wgpu::Device, wgpu::Queue)) -> Self {
        let descriptor = KernelDescriptor::default();
        Self {
            dropout: Dropout::new(&device, &descriptor).unwrap(),
            keep_mask: KeepMask::new(&device, &descriptor).unwrap(),
            philox: PhiloxBlocks::new(&device, &descriptor, 10).unwrap(),
            device,
            _queue: queue,
        }
    }

    /// A device without features and with downlevel limits.
    pub fn downlevel() -> Self {
        Self::new(wgpu::Features::empty(), wgpu::Limits::downlevel_defaults())
    }

    /// A device without features and with downlevel limits but for those that `change` sets.
    pub fn limited(change: impl FnOnce(&mut wgpu::Limits)) -> Self {
        Self::new(wgpu::Features::empty(), limits(change))
    }

    pub fn bind<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        self.dropout.bind(input, output, elements)
    }

    pub fn bind_in_place<'a>(
        &self,
        data: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        self.dropout.bind_in_place(data, elements)
    }

    pub fn buffer(&self, bytes: u64) -> wgpu::Buffer {
        self.buffer_for(bytes, wgpu::BufferUsages::STORAGE)
    }

    pub fn buffer_for(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    /// Runs `body` and expects no validation error from wgpu.
    #[track_caller]
    pub fn without_errors<T>(&self, body: impl FnOnce() -> T) -> T {
        let (result, error) = self.error_of(body);
        assert_eq!(error, None);
        result
    }

    /// Returns true if `record` sets a pipeline in its pass. If it does not, the dispatch that
    /// follows is a validation error.
    #[track_caller]
    pub fn records(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> bool {
        let ((), error) = self.error_of(|| {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            record(&mut pass);
            pass.dispatch_workgroups(1, 1, 1);
            drop(pass);
            encoder.finish();
        });
        match error {
            None => true,
            Some(message) => {
                assert!(message.contains("pipeline must be set"), "{message}");
                false
            }
        }
    }

    fn error_of<T>(&self, body: impl FnOnce() -> T) -> (T, Option<String>) {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let result = body();
        let error = pollster::block_on(scope.pop());
        (result, error.map(|error| error.to_string()))
    }
}

/// The binding of `bytes` from `offset` on. 0 bytes means up to the end of the buffer.
pub fn range(buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding {
        buffer,
        offset,
        size: wgpu::BufferSize::new(bytes),
    }
}

/// The binding of a whole buffer.
pub fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    range(buffer, 0, 0)
}

/// Downlevel limits but for those that `change` sets.
pub fn limits(change: impl FnOnce(&mut wgpu::Limits)) -> wgpu::Limits {
    let mut limits = wgpu::Limits::downlevel_defaults();
    change(&mut limits);
    limits
}

/// `got` is `expected`, an error with this message.
#[track_caller]
pub fn refused<T: Debug, E: Debug + Display + PartialEq>(
    got: Result<T, E>,
    expected: impl Into<E>,
    message: &str,
) {
    let (error, expected) = (got.unwrap_err(), expected.into());
    assert_eq!(error, expected);
    assert_eq!(error.to_string(), message);
}

pub fn too_short(role: Role, range_bytes: u64, required_bytes: u64, len: u64) -> BindError {
    BindError::RangeTooShort {
        role,
        range_bytes,
        required_bytes,
        len,
    }
}
