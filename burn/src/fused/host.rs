//! The fused operations on the CPU, by the library's own CPU path.

use burn::backend::TensorMetadata;
use burn::backend::flex::{Flex, FlexTensor};
use burn::backend::ops::{BoolTensorOps, FloatTensorOps};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Element as BurnElement, FloatDType};
use wgpu_dropout::cpu::{self, AddNorm, Gated, GatedSlices, Vectors};
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{
    Activation, AttentionMask, CpuError, DropoutCall, DropoutRate, Element, ElementType, MaskKey,
    MaskPlace, Norm, SavedSoftmax, Softmax,
};

use super::operation::{FusedBackend, MaybeHidden, MaybeVector};
use super::softmax::Scores;
use crate::operation::element_type;

/// Calls the function for the elements' type.
macro_rules! of_type {
    ($tensor:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match element_type($tensor.dtype()) {
            Ok(ElementType::F32) => $function::<f32>($($argument),*),
            Ok(ElementType::F16) => $function::<f16>($($argument),*),
            Ok(ElementType::Bf16) => $function::<bf16>($($argument),*),
            Ok(other) => panic!("no dropout for elements of type {other}"),
            Err(error) => panic!("{error}"),
        }
        .unwrap_or_else(|error| panic!("{error}"))
    };
}

fn slice<T: BurnElement + Element>(tensor: &FlexTensor) -> &[T] {
    // Callers give contiguous tensors, which have a slice.
    tensor.as_slice::<T>().unwrap_or_default()
}

fn empty_like(tensor: &FlexTensor) -> FlexTensor {
    FlexTensor::empty(tensor.layout().shape().clone(), tensor.dtype())
}

/// The numbers of a vector. Empty if there is no vector.
fn numbers(vector: Option<FlexTensor>) -> Vec<f32> {
    vector.map_or_else(Vec::new, |vector| {
        let vector = Flex::float_cast(vector, FloatDType::F32).to_contiguous();
        slice::<f32>(&vector).to_vec()
    })
}

impl FusedBackend for Flex {
    fn dropout_add(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let (input, residual) = (input.to_contiguous(), residual.to_contiguous());
        of_type!(
            input,
            add(&input, &residual, &numbers(bias.into_option()), &call)
        )
    }

    fn act_dropout(
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let input = input.to_contiguous();
        of_type!(
            input,
            act(&input, &numbers(bias.into_option()), activation, &call)
        )
    }

    fn act_dropout_backward(
        grad: FloatTensor<Self>,
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let (grad, input) = (grad.to_contiguous(), input.to_contiguous());
        let bias = numbers(bias.into_option());
        of_type!(input, act_backward(&grad, &input, &bias, activation, &call))
    }

    fn gated_dropout(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let (gate, up) = (gate.to_contiguous(), up.to_contiguous());
        of_type!(gate, gated(&gate, &up, activation, &call))
    }

    fn gated_dropout_backward(
        grad: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let grad = grad.to_contiguous();
        let (gate, up) = (gate.to_contiguous(), up.to_contiguous());
        of_type!(gate, gated_backward(&grad, gate, up, activation, &call))
    }

    fn softmax_dropout(
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let dtype = scores.dtype();
        let (scores, _) = prepared(scores, hidden.into_option(), options);
        let output = softmax(&scores, &call).unwrap_or_else(|error| panic!("{error}"));
        Self::float_cast(output, dtype.into())
    }

    fn softmax_dropout_backward(
        grad: FloatTensor<Self>,
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let dtype = scores.dtype();
        let (scores, hidden) = prepared(scores, hidden.into_option(), options);
        let grad = Self::float_cast(grad, FloatDType::F32).to_contiguous();
        let grad =
            softmax_backward(&grad, &scores, &call).unwrap_or_else(|error| panic!("{error}"));
        let mut grad = Self::float_mul_scalar(grad, options.factor.into());
        if let Some(hidden) = hidden {
            grad = Self::float_mask_fill(grad, hidden, 0.0f32.into());
        }
        Self::float_cast(grad, dtype.into())
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
        let (input, residual) = (input.to_contiguous(), residual.to_contiguous());
        let (bias, gamma) = (numbers(bias.into_option()), numbers(Some(gamma)));
        let beta = beta_of(norm, numbers(beta.into_option()), gamma.len());
        let norm = add_norm(norm, &bias, &gamma, &beta);
        of_type!(input, normed(&norm, &input, &residual, &call))
    }

    fn norm_backward(
        grad: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (grad, sum) = (grad.to_contiguous(), sum.to_contiguous());
        let gamma = numbers(Some(gamma));
        of_type!(sum, norm_backward(norm, &grad, &sum, &gamma))
    }
}

fn add<T: Element + BurnElement>(
    input: &FlexTensor,
    residual: &FlexTensor,
    bias: &[f32],
    call: &DropoutCall,
) -> Result<FlexTensor, CpuError> {
    let mut output = empty_like(input);
    let vectors = Vectors { bias, scale: &[] };
    let sums = (slice::<T>(residual), output.storage_mut::<T>());
    cpu::add(sums.0.len(), slice::<T>(input), vectors, sums, call)?;
    Ok(output)
}

fn act<T: Element + BurnElement>(
    input: &FlexTensor,
    bias: &[f32],
    activation: Activation,
    call: &DropoutCall,
) -> Result<FlexTensor, CpuError> {
    let mut output = empty_like(input);
    let slices = (slice::<T>(input), output.storage_mut::<T>());
    cpu::activate(activation, slices.0.len(), bias, slices, call)?;
    Ok(output)
}

fn act_backward<T: Element + BurnElement>(
    grad: &FlexTensor,
    input: &FlexTensor,
    bias: &[f32],
    activation: Activation,
    call: &DropoutCall,
) -> Result<FlexTensor, CpuError> {
    let mut output = empty_like(input);
    let slices = (slice::<T>(input), output.storage_mut::<T>());
    let (len, grad) = (slices.0.len(), slice::<T>(grad));
    cpu::activate_backward(activation, len, bias, grad, slices, call)?;
    Ok(output)
}

fn gated<T: Element + BurnElement>(
    gate: &FlexTensor,
    up: &FlexTensor,
    activation: Activation,
    call: &DropoutCall,
) -> Result<FlexTensor, CpuError> {
    let mut output = empty_like(gate);
    let gated = Gated::Two {
        gate: slice::<T>(gate),
        up: slice::<T>(up),
    };
    let output_elements = output.storage_mut::<T>();
    let len = output_elements.len();
    cpu::activate_gated(activation, len, &[], gated, output_elements, call)?;
    Ok(output)
}

fn gated_backward<T: Element + BurnElement>(
    grad: &FlexTensor,
    mut gate: FlexTensor,
    mut up: FlexTensor,
    activation: Activation,
    call: &DropoutCall,
) -> Result<(FlexTensor, FlexTensor), CpuError> {
    let grad = slice::<T>(grad);
    // `storage_mut` copies a tensor that is still in use elsewhere.
    let gated = GatedSlices::Two {
        gate: gate.storage_mut::<T>(),
        up: up.storage_mut::<T>(),
    };
    cpu::activate_gated_backward(activation, grad.len(), &[], grad, gated, call)?;
    Ok((gate, up))
}

/// The scores in f32 with the factor and the mask applied, and the mask in the scores' shape.
fn prepared(
    scores: FlexTensor,
    hidden: Option<FlexTensor>,
    options: Scores,
) -> (FlexTensor, Option<FlexTensor>) {
    let shape = scores.shape();
    let hidden = hidden.map(|hidden| Flex::bool_expand(hidden, shape));
    let scores = Flex::float_cast(scores, FloatDType::F32);
    let mut scores = Flex::float_mul_scalar(scores, options.factor.into());
    if let Some(hidden) = &hidden {
        scores = Flex::float_mask_fill(scores, hidden.clone(), options.fill.into());
    }
    (scores.to_contiguous(), hidden)
}

fn rows_of(scores: &FlexTensor) -> Softmax {
    let shape = scores.shape();
    let columns = shape[shape.num_dims() - 1] as u32;
    Softmax::new(columns, 1.0).unwrap_or_else(|error| panic!("{error}"))
}

fn softmax(scores: &FlexTensor, call: &DropoutCall) -> Result<FlexTensor, CpuError> {
    let mut output = empty_like(scores);
    let slices = (slice::<f32>(scores), output.storage_mut::<f32>());
    let (rows, len) = (rows_of(scores), slices.0.len());
    cpu::softmax(rows, AttentionMask::None, len, slices, None, call)?;
    Ok(output)
}

fn softmax_backward(
    grad: &FlexTensor,
    scores: &FlexTensor,
    call: &DropoutCall,
) -> Result<FlexTensor, CpuError> {
    let mut output = empty_like(scores);
    let slices = (slice::<f32>(grad), output.storage_mut::<f32>());
    let saved = SavedSoftmax::Scores(slice::<f32>(scores));
    let (rows, len) = (rows_of(scores), slices.0.len());
    cpu::softmax_backward(rows, AttentionMask::None, len, saved, slices, call)?;
    Ok(output)
}

/// The beta that the CPU path takes: a layer norm needs one, and an RMS norm has none.
fn beta_of(norm: Norm, beta: Vec<f32>, columns: usize) -> Vec<f32> {
    match beta.is_empty() && !norm.is_rms() {
        true => vec![0.0; columns],
        false => beta,
    }
}

fn add_norm<'a>(norm: Norm, bias: &'a [f32], gamma: &'a [f32], beta: &'a [f32]) -> AddNorm<'a> {
    AddNorm {
        norm,
        place: MaskPlace::Branch,
        bias,
        gamma,
        beta,
    }
}

fn normed<T: Element + BurnElement>(
    norm: &AddNorm<'_>,
    input: &FlexTensor,
    residual: &FlexTensor,
    call: &DropoutCall,
) -> Result<(FlexTensor, FlexTensor), CpuError> {
    let (mut sum, mut output) = (empty_like(input), empty_like(input));
    let sums = (slice::<T>(residual), sum.storage_mut::<T>());
    let (len, outputs) = (sums.0.len(), output.storage_mut::<T>());
    cpu::add_norm(norm, len, slice::<T>(input), sums, outputs, call)?;
    Ok((sum, output))
}

fn norm_backward<T: Element + BurnElement>(
    norm: Norm,
    grad: &FlexTensor,
    sum: &FlexTensor,
    gamma: &[f32],
) -> Result<(FlexTensor, FlexTensor), CpuError> {
    // This call drops nothing, since dropout's gradient is a step of its own.
    let nothing = DropoutCall::new(DropoutRate::ZERO, MaskKey::new(0, 0));
    let beta = beta_of(norm, Vec::new(), gamma.len());
    let norm = add_norm(norm, &[], gamma, &beta);
    let (mut grad_sum, mut product) = (empty_like(sum), empty_like(sum));
    let grads = (slice::<T>(grad), product.storage_mut::<T>());
    let (len, sums) = (grads.0.len(), slice::<T>(sum));
    let grad_sums = grad_sum.storage_mut::<T>();
    cpu::add_norm_backward(&norm, len, sums, grads, grad_sums, &nothing, false)?;
    // With a gamma of ones, and with no beta or a beta of zeros, the result is the norm before
    // gamma and beta.
    let ones = vec![1.0; gamma.len()];
    let zeros = vec![0.0; if norm.norm.is_rms() { 0 } else { ones.len() }];
    let plain = add_norm(norm.norm, &[], &ones, &zeros);
    let zero = vec![T::from_f32(0.0); len];
    let mut kept = sums.to_vec();
    let products = product.storage_mut::<T>();
    cpu::add_norm(&plain, len, &zero, &mut kept[..], products, &nothing)?;
    for (x, grad) in products.iter_mut().zip(slice::<T>(grad)) {
        *x = T::from_f32(x.to_f32() * grad.to_f32());
    }
    Ok((grad_sum, product))
}
