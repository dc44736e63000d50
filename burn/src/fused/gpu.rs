//! The fused operations on any runtime of CubeCL, with Burn's own buffers and queue.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{BoolStore, DType};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::ir::{ElemType, FloatKind, UIntKind};
use burn_cubecl::cubecl::prelude::{BufferArg, CubeCount, CubeDim};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use wgpu_dropout::{Activation, DropoutCall, ElementType, Norm};

use super::operation::{FusedBackend, MaybeHidden, MaybeVector};
use super::softmax::Scores;
use crate::kernel::beside::{Operation, Variant, beside, gated_gradient};
use crate::kernel::dropout::WORKGROUP_SIZE;
use crate::kernel::groups::{Draw, GROUP, GROUPS};
use crate::kernel::mask::{MaskLaunch, mask};
use crate::kernel::normed::{NormNumbersLaunch, NormVariant, add_norm, norm_gradient};
use crate::kernel::rows::Rows;
use crate::kernel::softmax::{LIMIT, ScoreNumbersLaunch, softmax, softmax_gradient};
use crate::operation::element_type;

/// A contiguous tensor's elements, as rows of the last dimension.
struct Shape {
    elements: u32,
    columns: u32,
    element: ElementType,
}

impl Shape {
    fn of(tensor: &CubeTensor) -> Self {
        let shape = tensor.shape();
        Self {
            // Callers have checked the length and the type.
            elements: shape.num_elements() as u32,
            columns: shape[shape.num_dims() - 1] as u32,
            element: element_type(tensor.dtype).unwrap_or_else(|error| panic!("{error}")),
        }
    }

    fn rows(&self) -> u32 {
        self.elements / self.columns
    }

    /// Elements that one load takes.
    fn width(&self) -> u32 {
        if self.columns.is_multiple_of(4) { 4 } else { 1 }
    }
}

/// The type of the elements in a kernel.
fn dtype(tensor: &CubeTensor) -> ElemType {
    match Shape::of(tensor).element {
        ElementType::F32 => ElemType::Float(FloatKind::F32),
        ElementType::F16 => ElemType::Float(FloatKind::F16),
        ElementType::Bf16 => ElemType::Float(FloatKind::BF16),
        other => panic!("no dropout for elements of type {other}"),
    }
}

/// The type of the mask's elements. Without a mask any type will do, since the kernel reads no
/// mask.
fn dtype_of_mask(hidden: Option<&CubeTensor>) -> ElemType {
    ElemType::UInt(match hidden.map(|hidden| hidden.dtype) {
        Some(DType::Bool(BoolStore::U32)) | None => UIntKind::U32,
        Some(_) => UIntKind::U8,
    })
}

fn empty_like(tensor: &CubeTensor) -> CubeTensor {
    empty_device_contiguous_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        tensor.shape(),
        tensor.dtype,
    )
}

/// The mask's parameters.
fn mask_of(call: &DropoutCall, elements: u32) -> MaskLaunch {
    let params = call.mask_params(0, elements.into());
    // Callers have checked the call.
    mask(&params.unwrap_or_else(|error| panic!("{error}")))
}

/// How the kernel decides groups. A group starts at a multiple of `start_step` elements, or a whole
/// number of groups after such a multiple.
fn draw_of(call: &DropoutCall, start_step: u32) -> Draw {
    if call.rate.drops_nothing() {
        Draw::Nothing
    } else if call.origin.is_multiple_of(GROUP.into()) && start_step.is_multiple_of(GROUP) {
        Draw::Blocks
    } else {
        Draw::Halves
    }
}

/// A buffer argument of a contiguous tensor.
fn buffer(tensor: &CubeTensor) -> BufferArg {
    tensor.clone().into_buffer_arg()
}

fn elementwise(
    operation: Operation,
    first: CubeTensor,
    second: Option<CubeTensor>,
    bias: Option<CubeTensor>,
    call: &DropoutCall,
) -> CubeTensor {
    let first = into_contiguous(first);
    // A buffer that the kernel does not use is bound to another input.
    let second = second.map_or_else(|| first.clone(), into_contiguous);
    let has_bias = bias.is_some();
    let bias = bias.map_or_else(|| first.clone(), into_contiguous);
    let output = empty_like(&first);
    let shape = Shape::of(&first);
    let variant = Variant {
        operation,
        element: shape.element,
        has_bias,
        draw: draw_of(call, GROUP),
    };
    let width = shape.width();
    // SAFETY: the kernel's loops end, and it accesses no element outside of these buffers.
    #[expect(unsafe_code, reason = "a bounds check for each load costs time")]
    unsafe {
        beside::launch_unchecked(
            &output.client,
            groups_count(&output, &shape),
            CubeDim::new_1d(WORKGROUP_SIZE),
            width as usize,
            buffer(&first),
            buffer(&second),
            buffer(&bias),
            buffer(&output),
            mask_of(call, shape.elements),
            shape.elements / width,
            shape.columns / width,
            variant,
            dtype(&output),
        );
    }
    output
}

/// The number of workgroups for all groups of a tensor. An invocation takes four groups.
fn groups_count(output: &CubeTensor, shape: &Shape) -> CubeCount {
    let units = shape.elements.div_ceil(GROUP * GROUPS) as usize;
    calculate_cube_count_elemwise(&output.client, units, CubeDim::new_1d(WORKGROUP_SIZE))
}

/// The number and the size of the workgroups for all rows of a tensor.
fn rows_count(output: &CubeTensor, shape: &Shape, rows: Rows) -> (CubeCount, CubeDim) {
    let size = CubeDim::new_1d(rows.workgroup_size());
    let units = shape.rows() as usize * rows.lanes as usize;
    (
        calculate_cube_count_elemwise(&output.client, units, size),
        size,
    )
}

impl FusedBackend for CubeBackend {
    fn dropout_add(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = bias.into_option();
        elementwise(Operation::Add, input, Some(residual), bias, &call)
    }

    fn act_dropout(
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let operation = Operation::Act(activation);
        elementwise(operation, input, None, bias.into_option(), &call)
    }

    fn act_dropout_backward(
        grad: FloatTensor<Self>,
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let operation = Operation::ActGradient(activation);
        elementwise(operation, input, Some(grad), bias.into_option(), &call)
    }

    fn gated_dropout(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        elementwise(Operation::Gated(activation), gate, Some(up), None, &call)
    }

    fn gated_dropout_backward(
        grad: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [grad, gate, up] = [grad, gate, up].map(into_contiguous);
        let (grad_gate, grad_up) = (empty_like(&gate), empty_like(&up));
        let shape = Shape::of(&gate);
        let width = shape.width();
        // SAFETY: as in `elementwise`.
        #[expect(unsafe_code, reason = "a bounds check for each load costs time")]
        unsafe {
            gated_gradient::launch_unchecked(
                &gate.client,
                groups_count(&gate, &shape),
                CubeDim::new_1d(WORKGROUP_SIZE),
                width as usize,
                buffer(&grad),
                buffer(&gate),
                buffer(&up),
                buffer(&grad_gate),
                buffer(&grad_up),
                mask_of(&call, shape.elements),
                shape.elements / width,
                activation,
                shape.element,
                draw_of(&call, GROUP),
                dtype(&gate),
            );
        }
        (grad_gate, grad_up)
    }

    fn softmax_dropout(
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        softmax_or_gradient(None, scores, hidden, options, &call)
    }

    fn softmax_dropout_backward(
        grad: FloatTensor<Self>,
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        softmax_or_gradient(Some(grad), scores, hidden, options, &call)
    }

    fn dropout_add_norm(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        gamma: FloatTensor<Self>,
        beta: MaybeVector<Self>,
        norm: Norm,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [input, residual, gamma] = [input, residual, gamma].map(into_contiguous);
        let (bias, beta) = (bias.into_option(), beta.into_option());
        let (sum, output) = (empty_like(&residual), empty_like(&input));
        let shape = Shape::of(&input);
        let draw = draw_of(&call, shape.columns);
        let variant = NormVariant {
            rows: Rows::new(shape.columns, shape.element, draw),
            is_rms: norm.is_rms(),
            has_bias: bias.is_some(),
            has_beta: beta.is_some(),
        };
        let [bias, beta] = [bias, beta].map(|vector| vector.map_or(gamma.clone(), into_contiguous));
        let (count, size) = rows_count(&output, &shape, variant.rows);
        // SAFETY: as in `softmax_or_gradient`.
        #[expect(unsafe_code, reason = "a bounds check for each load costs time")]
        unsafe {
            add_norm::launch_unchecked(
                &output.client,
                count,
                size,
                shape.width() as usize,
                buffer(&input),
                buffer(&residual),
                buffer(&bias),
                buffer(&gamma),
                buffer(&beta),
                buffer(&sum),
                buffer(&output),
                mask_of(&call, shape.elements),
                norm_numbers(norm, &shape),
                variant,
                dtype(&output),
            );
        }
        (sum, output)
    }

    fn norm_backward(
        grad: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [grad, sum, gamma] = [grad, sum, gamma].map(into_contiguous);
        let (grad_sum, product) = (empty_like(&sum), empty_like(&sum));
        let shape = Shape::of(&sum);
        let variant = NormVariant {
            rows: Rows::new(shape.columns, shape.element, Draw::Nothing),
            is_rms: norm.is_rms(),
            has_bias: false,
            has_beta: false,
        };
        let (count, size) = rows_count(&sum, &shape, variant.rows);
        // SAFETY: as in `softmax_or_gradient`.
        #[expect(unsafe_code, reason = "a bounds check for each load costs time")]
        unsafe {
            norm_gradient::launch_unchecked(
                &sum.client,
                count,
                size,
                shape.width() as usize,
                buffer(&grad),
                buffer(&sum),
                buffer(&gamma),
                buffer(&grad_sum),
                buffer(&product),
                norm_numbers(norm, &shape),
                variant,
                dtype(&sum),
            );
        }
        (grad_sum, product)
    }
}

/// The gradient of the scores if the output's gradient is given, and otherwise the output.
fn softmax_or_gradient(
    grad: Option<CubeTensor>,
    scores: CubeTensor,
    hidden: MaybeHidden<CubeBackend>,
    options: Scores,
    call: &DropoutCall,
) -> CubeTensor {
    let scores = into_contiguous(scores);
    let output = empty_like(&scores);
    let shape = Shape::of(&scores);
    let hidden = hidden.into_option().map(into_contiguous);
    let rows = Rows::new(shape.columns, shape.element, draw_of(call, shape.columns));
    let (count, size) = rows_count(&output, &shape, rows);
    let (client, width) = (&output.client, shape.width() as usize);
    let [of_scores, of_output] = [&scores, &output].map(buffer);
    let of_hidden = buffer(hidden.as_ref().unwrap_or(&scores));
    let mask = mask_of(call, shape.elements);
    let numbers = score_numbers(&scores, hidden.as_ref(), &shape, options);
    let dtypes = [dtype(&scores), dtype_of_mask(hidden.as_ref())];
    let has_mask = hidden.is_some();
    // SAFETY: as in `elementwise`. All invocations of a workgroup reach its barriers.
    #[expect(unsafe_code, reason = "a bounds check for each load costs time")]
    unsafe {
        match grad.map(into_contiguous) {
            None => softmax::launch_unchecked(
                client, count, size, width, of_scores, of_hidden, of_output, mask, numbers,
                has_mask, rows, dtypes,
            ),
            Some(grad) => softmax_gradient::launch_unchecked(
                client,
                count,
                size,
                width,
                buffer(&grad),
                of_scores,
                of_hidden,
                of_output,
                mask,
                numbers,
                has_mask,
                rows,
                dtypes,
            ),
        }
    }
    output
}

fn score_numbers(
    scores: &CubeTensor,
    hidden: Option<&CubeTensor>,
    shape: &Shape,
    options: Scores,
) -> ScoreNumbersLaunch {
    let sizes = scores.shape();
    let mut strides = [0u32; 3];
    if let Some(hidden) = hidden {
        let sizes = hidden.shape();
        let mut rows = 1;
        for dimension in (0..3).rev() {
            if sizes[dimension] > 1 {
                strides[dimension] = rows;
                rows *= sizes[dimension] as u32;
            }
        }
    }
    let [batch, head, query] = strides;
    ScoreNumbersLaunch::new(
        shape.rows(),
        shape.columns,
        options.factor,
        LIMIT / options.factor.abs().max(1.0),
        options.fill.clamp(-LIMIT, LIMIT),
        sizes[1] as u32,
        sizes[2] as u32,
        batch,
        head,
        query,
    )
}

fn norm_numbers(norm: Norm, shape: &Shape) -> NormNumbersLaunch {
    let columns = shape.columns;
    NormNumbersLaunch::new(shape.rows(), columns, 1.0 / columns as f32, norm.epsilon())
}
