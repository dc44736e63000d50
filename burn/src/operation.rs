//! Dropout as an operation of Burn's backends.

use core::fmt;
use core::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
use burn::tensor::{DType, Device, Tensor};
use wgpu_dropout::{Direction, DropoutCall, ElementType, MaskLayout};

use crate::error::DropoutError;

/// `output = dropout(input)`, with the mask of `layout` under `call`. Backward applies the same
/// call to the gradient. It needs neither a mask nor anything else of the tensor's size from
/// forward.
///
/// # Errors
///
/// See [`DropoutError`].
pub fn dropout<const D: usize>(
    input: Tensor<D>,
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Result<Tensor<D>, DropoutError> {
    let elements = input.shape().num_elements() as u64;
    if elements != layout.len() {
        return Err(DropoutError::LayoutLength {
            elements,
            required: layout.len(),
        });
    }
    call.check(layout)?;
    let element = element_type(input.dtype())?;
    check_device(&input.device(), layout, element, call)?;
    Ok(Tensor::from_dispatch(Dispatch::fused_dropout(
        input.into_dispatch(),
        layout.clone(),
        *call,
        Direction::Forward,
    )))
}

pub(crate) fn element_type(dtype: DType) -> Result<ElementType, DropoutError> {
    match dtype {
        // Flex32 is f32 in memory.
        DType::F32 | DType::Flex32 => Ok(ElementType::F32),
        DType::F16 => Ok(ElementType::F16),
        DType::BF16 => Ok(ElementType::Bf16),
        _ => Err(DropoutError::Element { dtype }),
    }
}

/// Checks the device before the operation is recorded. Under fusion the operation runs after its
/// caller has returned, when no error can be returned.
#[cfg_attr(
    not(feature = "cubecl"),
    expect(unused_variables, reason = "only GPUs have limits")
)]
fn check_device(
    device: &Device,
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
) -> Result<(), DropoutError> {
    check_backend(device)?;
    #[cfg(feature = "cubecl")]
    if let DispatchDevice::Cube(device) = device.clone().inner().as_dispatch() {
        drop(crate::cube::parts(&device.client(), layout, element, call)?);
    }
    Ok(())
}

/// Checks that this build has dropout for the device's backend.
pub(crate) fn check_backend(device: &Device) -> Result<(), DropoutError> {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "cubecl")]
        DispatchDevice::Cube(_) => Ok(()),
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => Ok(()),
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => Ok(()),
        #[cfg(feature = "tch")]
        DispatchDevice::LibTorch(_) => Ok(()),
        #[cfg(feature = "remote")]
        DispatchDevice::Remote(_) => Ok(()),
        #[allow(unreachable_patterns, reason = "Burn may be built with other backends")]
        device => Err(DropoutError::Feature {
            device: format!("{device:?}"),
        }),
    }
}

/// Dropout as an operation of a backend. Callers have checked that the backend supports it.
#[backend_extension(
    Cube: cfg(feature = "cubecl"),
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub trait DropoutBackend: Backend {
    /// The result of dropout in `direction`, forward or backward.
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self>;
}

/// Dropout's step in the autodiff graph. Its state is the call and the layout of the elements.
#[derive(Debug)]
struct FusedDropout;

impl<B: DropoutBackend> Backward<B, 1> for FusedDropout {
    type State = (MaskLayout, DropoutCall);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (layout, call) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::fused_dropout(grad, layout, call, Direction::Backward)
        });
    }
}

/// Recomputes an output that checkpointing did not keep. It applies the same call, so the mask is
/// the same.
struct Recompute<B> {
    input: NodeId,
    layout: MaskLayout,
    call: DropoutCall,
    backend: PhantomData<B>,
}

impl<B> fmt::Debug for Recompute<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recompute")
            .field("input", &self.input)
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl<B: DropoutBackend> RetroForward for Recompute<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let input = states.get_state::<B::FloatTensorPrimitive>(&self.input);
        let output = B::fused_dropout(input, self.layout.clone(), self.call, Direction::Forward);
        states.save(out_node, output);
    }
}

impl<B: DropoutBackend, C: CheckpointStrategy> DropoutBackend for Autodiff<B, C> {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let recompute = Recompute::<B> {
            input: tensor.node().id(),
            layout: layout.clone(),
            call,
            backend: PhantomData,
        };
        let prepared = FusedDropout
            .prepare::<C>([tensor.node()])
            .memory_bound()
            .retro_forward(recompute)
            .parents([&tensor])
            .stateful();
        let (input, _) = tensor.into_parts();
        let output = B::fused_dropout(input, layout.clone(), call, direction);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((layout, call), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
