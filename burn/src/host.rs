//! Dropout on the CPU, by the library's own CPU path.

use burn::backend::flex::{Flex, FlexTensor};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Element as BurnElement;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{CpuError, Direction, DropoutCall, Element, ElementType, MaskLayout, cpu};

use crate::operation::{DropoutBackend, element_type};

impl DropoutBackend for Flex {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let apply = match element_type(tensor.dtype()) {
            Ok(ElementType::F32) => apply::<f32>,
            Ok(ElementType::F16) => apply::<f16>,
            Ok(ElementType::Bf16) => apply::<bf16>,
            Ok(other) => panic!("no dropout for elements of type {other}"),
            Err(error) => panic!("{error}"),
        };
        apply(&tensor.to_contiguous(), &layout, &call, direction)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

fn apply<T: Element + BurnElement>(
    input: &FlexTensor,
    layout: &MaskLayout,
    call: &DropoutCall,
    direction: Direction,
) -> Result<FlexTensor, CpuError> {
    let mut output = FlexTensor::empty(input.layout().shape().clone(), input.dtype());
    // Only a tensor that is not contiguous has no slice, and this one is contiguous.
    let values = input.as_slice::<T>().unwrap_or_default();
    let results = output.storage_mut::<T>();
    cpu::apply(direction, layout, (values, results), call)?;
    Ok(output)
}
