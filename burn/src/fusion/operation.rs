//! Dropout as an operation that fusion defers.

use core::fmt;
use core::marker::PhantomData;

use burn::backend::fusion::custom::{
    CustomOpIr, HandleContainer, Operation, OperationIr, OperationOutput, StreamId, TensorIr,
};
use burn::backend::fusion::{ExecutionError, Fusion, FusionBackend, FusionHandle};
use burn::backend::tensor::FloatTensor;
use wgpu_dropout::{Direction, DropoutCall, MaskLayout};

use super::described;
use crate::operation::DropoutBackend;

impl<B: FusionBackend + DropoutBackend> DropoutBackend for Fusion<B> {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        // The output has the bits of the input [M11].
        if call.rate.drops_nothing() {
            return tensor;
        }
        let client = tensor.client.clone();
        let (id, scalars) = described(client.device(), &layout, tensor.dtype, &call, direction);
        let output = TensorIr::uninit(
            client.create_empty_handle(),
            tensor.shape.clone(),
            tensor.dtype,
        );
        let input = tensor.into_ir();
        let operation = CustomOpIr {
            id,
            inputs: vec![input.clone()],
            outputs: vec![output.clone()],
            scalars,
        };
        let alone = Alone::<B> {
            input,
            output,
            layout,
            call,
            direction,
            backend: PhantomData,
        };
        client
            .register(StreamId::current(), OperationIr::Custom(operation), alone)
            .output()
    }
}

/// Dropout as a kernel of its own, where nothing around it is fused with it.
struct Alone<B> {
    input: TensorIr,
    output: TensorIr,
    layout: MaskLayout,
    call: DropoutCall,
    direction: Direction,
    backend: PhantomData<B>,
}

impl<B> fmt::Debug for Alone<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dropout")
            .field("call", &self.call)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

impl<B: FusionBackend + DropoutBackend> Operation<B::FusionRuntime> for Alone<B> {
    fn execute(
        &self,
        handles: &mut HandleContainer<FusionHandle<B::FusionRuntime>>,
    ) -> Result<(), ExecutionError> {
        let input = handles.get_float_tensor::<B>(&self.input);
        let output = B::fused_dropout(input, self.layout.clone(), self.call, self.direction);
        handles.register_float_tensor::<B>(&self.output.id, output);
        Ok(())
    }
}
