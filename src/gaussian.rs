//! Gaussian dropout: multiplicative noise in the place of a mask.

use crate::contract::call::DropoutCall;
use crate::contract::effect::Direction;
use crate::contract::error::{CallError, Operation};
use crate::contract::kind::DropoutKind;
use crate::dropout::{Dropout, DropoutBinding};
use crate::host::device::KernelDescriptor;
use crate::host::elements::Elements;
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::plan::error::CreateError;

/// Gaussian dropout on one device (Srivastava et al. 2014, section 10; Keras's
/// `GaussianDropout`): each element times a normal number of mean 1 and variance p / (1 - p), by
/// the realised p. Forward and backward are the same map of the same call, and inference does
/// nothing.
///
/// The noise is `y = x * (1 + sigma * z)` with z from domain 2 of the call's key \[M18\]. Its words
/// are the same everywhere; z goes through `log`, `sin` and `cos`, which adapters compute
/// differently, so y is within `|x| * sigma * 2^-8 + |y| * 2^-23` of the exact value \[M20\], and for
/// 16-bit types rounded once to the type \[M22\].
///
/// This is [`Dropout`] with calls of [`DropoutKind::Gaussian`], for code that knows no kinds.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, x: &wgpu_dropout::wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{DropoutCall, DropoutRate, GaussianDropout, KernelDescriptor, MaskKey};
///
/// let noise = GaussianDropout::new(device, &KernelDescriptor::default())?;
/// let binding = noise.bind_in_place(x.as_entire_buffer_binding(), 1000)?;
/// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
/// noise.encode(pass, &binding, &call)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GaussianDropout(Dropout);

impl GaussianDropout {
    /// Prepares the kernels for `device`.
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        Dropout::new(device, descriptor).map(Self)
    }

    /// For an audit: the same by kernels that there are.
    #[cfg(feature = "cpu")]
    pub(crate) const fn of(dropout: Dropout) -> Self {
        Self(dropout)
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        self.0.device()
    }

    /// How each dispatch is told its parameters, and why: recording takes 7 to 21 times as long without
    /// immediates.
    pub fn parameter_path(&self) -> ParameterPath {
        self.0.parameter_path()
    }

    /// Binds `elements` of `input` and of `output`, as [`Dropout::bind`] does. Packed masks bind, but no
    /// call goes with them.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind<'a>(
        &self,
        input: wgpu::BufferBinding<'_>,
        output: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        self.0.bind(input, output, elements)
    }

    /// Binds `elements` of `data`, which are overwritten by the result.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind_in_place<'a>(
        &self,
        data: wgpu::BufferBinding<'_>,
        elements: impl Into<Elements<'a>>,
    ) -> Result<DropoutBinding, BindError> {
        self.0.bind_in_place(data, elements)
    }

    /// Records `output = input * noise`, forward or backward. A rate of 0 is a bit copy. Sets the
    /// same state of the pass as [`Dropout::encode_forward`].
    ///
    /// # Errors
    ///
    /// [`CallError::Kind`] for a call of classic or alpha dropout; else as
    /// [`Dropout::encode_forward`]. Nothing was recorded then.
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        let call = gaussian_call(call)?;
        self.0.encode(pass, binding, &call, Direction::Forward)
    }
}

/// The call with Gaussian noise; `Inverted` is what a call has that names no kind.
fn gaussian_call(call: &DropoutCall) -> Result<DropoutCall, CallError> {
    match call.kind {
        DropoutKind::Inverted | DropoutKind::Gaussian => Ok(call.with_kind(DropoutKind::Gaussian)),
        kind => Err(CallError::Kind {
            kind,
            operation: Operation::GaussianNoise,
        }),
    }
}
