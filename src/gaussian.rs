//! Gaussian dropout: multiplicative noise instead of a mask.

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

/// Gaussian dropout on one device (Srivastava et al. 2014, section 10; Keras's `GaussianDropout`):
/// each element is multiplied by a normal number of mean 1 and variance p / (1 - p), where p is the
/// [realised](crate::DropoutRate::realized) rate. Under the same call, forward and backward
/// multiply by the same numbers. Inference leaves a tensor as it is.
///
/// The result is `y = x * (1 + sigma * z)`, where the normal number z is made from random words of
/// the call's key \[M18\]. These words are the same on every adapter, but z is computed from them
/// by `log`, `sin` and `cos`, in which adapters differ. y is therefore within `|x| * sigma * 2^-8 +
/// |y| * 2^-23` of the exact value \[M20\], and for 16-bit types it is then rounded once to the
/// type \[M22\].
///
/// The same is done by [`Dropout`] for calls of [`DropoutKind::Gaussian`]. This type is for code
/// that names no kind in its calls.
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

    /// For an audit: uses the kernels of `dropout`.
    #[cfg(feature = "cpu")]
    pub(crate) const fn of(dropout: Dropout) -> Self {
        Self(dropout)
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        self.0.device()
    }

    /// Returns the way in which dispatches receive their parameters, with the reason if it is not
    /// by immediates. Recording takes 7 to 21 times as long without them.
    pub fn parameter_path(&self) -> ParameterPath {
        self.0.parameter_path()
    }

    /// Binds `elements` of `input` and of `output`, as [`Dropout::bind`] does. A packed mask can be
    /// bound, but every call with it is a [`CallError::Kind`].
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

    /// Records `output = input * noise`, forward or backward. A rate of 0 is a bit copy. It sets
    /// the same state of the pass as [`Dropout::encode_forward`].
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

/// The call with Gaussian noise. `Inverted` is accepted, because a call has this kind if its caller
/// chose no kind.
fn gaussian_call(call: &DropoutCall) -> Result<DropoutCall, CallError> {
    match call.kind {
        DropoutKind::Inverted | DropoutKind::Gaussian => Ok(call.with_kind(DropoutKind::Gaussian)),
        kind => Err(CallError::Kind {
            kind,
            operation: Operation::GaussianNoise,
        }),
    }
}
