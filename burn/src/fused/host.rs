//! The fused operations on the CPU, by the library's own CPU path.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::{Element as BurnElement, FloatDType};
use wgpu_dropout::cpu::{self, AddNorm, Gated, GatedSlices, Vectors};
use wgpu_dropout::{
    Activation, AttentionMask, CpuError, DropoutCall, DropoutRate, Element, MaskKey, MaskPlace,
    Norm, SavedSoftmax, Softmax,
};

use super::operation::{FusedBackend, MaybeHidden, MaybeVector};
use super::softmax::Scores;
use crate::host::{HostBackend, of_type, zeros};

/// The numbers of a vector. Empty if there is no vector.
fn numbers<B: HostBackend>(vector: Option<FloatTensor<B>>) -> Vec<f32> {
    vector.map_or_else(Vec::new, |vector| {
        B::elements::<f32>(&B::float_cast(vector, FloatDType::F32)).into_owned()
    })
}

impl<B: HostBackend> FusedBackend for B {
    fn dropout_add(
        input: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = numbers::<Self>(bias.into_option());
        of_type!(input, add(&input, &residual, &bias, &call))
    }

    fn act_dropout(
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = numbers::<Self>(bias.into_option());
        of_type!(input, act(&input, &bias, activation, &call))
    }

    fn act_dropout_backward(
        grad: FloatTensor<Self>,
        input: FloatTensor<Self>,
        bias: MaybeVector<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let bias = numbers::<Self>(bias.into_option());
        of_type!(input, act_backward(&grad, &input, &bias, activation, &call))
    }

    fn gated_dropout(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        of_type!(gate, gated(&gate, &up, activation, &call))
    }

    fn gated_dropout_backward(
        grad: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        call: DropoutCall,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        of_type!(gate, gated_backward(&grad, &gate, &up, activation, &call))
    }

    fn softmax_dropout(
        scores: FloatTensor<Self>,
        hidden: MaybeHidden<Self>,
        options: Scores,
        call: DropoutCall,
    ) -> FloatTensor<Self> {
        let dtype = scores.dtype();
        let (scores, _) = prepared::<Self>(scores, hidden.into_option(), options);
        let output = softmax::<Self>(&scores, &call).unwrap_or_else(|error| panic!("{error}"));
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
        let (scores, hidden) = prepared::<Self>(scores, hidden.into_option(), options);
        let grad = Self::float_cast(grad, FloatDType::F32);
        let grad = softmax_backward::<Self>(&grad, &scores, &call)
            .unwrap_or_else(|error| panic!("{error}"));
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
        let bias = numbers::<Self>(bias.into_option());
        let gamma = numbers::<Self>(Some(gamma));
        let beta = beta_of(norm, numbers::<Self>(beta.into_option()), gamma.len());
        let norm = add_norm(norm, &bias, &gamma, &beta);
        of_type!(input, normed(&norm, &input, &residual, &call))
    }

    fn norm_backward(
        grad: FloatTensor<Self>,
        sum: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let gamma = numbers::<Self>(Some(gamma));
        of_type!(sum, norm_backward(norm, &grad, &sum, &gamma))
    }
}

fn add<B: HostBackend, T: Element + BurnElement>(
    input: &FloatTensor<B>,
    residual: &FloatTensor<B>,
    bias: &[f32],
    call: &DropoutCall,
) -> Result<FloatTensor<B>, CpuError> {
    let residual = B::elements::<T>(residual);
    let mut output = zeros(residual.len());
    let vectors = Vectors { bias, scale: &[] };
    let sums = (&residual[..], &mut output[..]);
    cpu::add(
        residual.len(),
        &B::elements::<T>(input),
        vectors,
        sums,
        call,
    )?;
    Ok(B::like(input, output))
}

fn act<B: HostBackend, T: Element + BurnElement>(
    input: &FloatTensor<B>,
    bias: &[f32],
    activation: Activation,
    call: &DropoutCall,
) -> Result<FloatTensor<B>, CpuError> {
    let elements = B::elements::<T>(input);
    let mut output = zeros(elements.len());
    let slices = (&elements[..], &mut output[..]);
    cpu::activate(activation, elements.len(), bias, slices, call)?;
    Ok(B::like(input, output))
}

fn act_backward<B: HostBackend, T: Element + BurnElement>(
    grad: &FloatTensor<B>,
    input: &FloatTensor<B>,
    bias: &[f32],
    activation: Activation,
    call: &DropoutCall,
) -> Result<FloatTensor<B>, CpuError> {
    let (grad, elements) = (B::elements::<T>(grad), B::elements::<T>(input));
    let mut output = zeros(elements.len());
    let slices = (&elements[..], &mut output[..]);
    cpu::activate_backward(activation, elements.len(), bias, &grad, slices, call)?;
    Ok(B::like(input, output))
}

fn gated<B: HostBackend, T: Element + BurnElement>(
    gate: &FloatTensor<B>,
    up: &FloatTensor<B>,
    activation: Activation,
    call: &DropoutCall,
) -> Result<FloatTensor<B>, CpuError> {
    let (gates, ups) = (B::elements::<T>(gate), B::elements::<T>(up));
    let mut output = zeros(gates.len());
    let gated = Gated::Two {
        gate: &gates,
        up: &ups,
    };
    cpu::activate_gated(activation, gates.len(), &[], gated, &mut output[..], call)?;
    Ok(B::like(gate, output))
}

fn gated_backward<B: HostBackend, T: Element + BurnElement>(
    grad: &FloatTensor<B>,
    gate: &FloatTensor<B>,
    up: &FloatTensor<B>,
    activation: Activation,
    call: &DropoutCall,
) -> Result<(FloatTensor<B>, FloatTensor<B>), CpuError> {
    let grad = B::elements::<T>(grad);
    let [mut gates, mut ups] = [gate, up].map(|tensor| B::elements::<T>(tensor).into_owned());
    let gated = GatedSlices::Two {
        gate: &mut gates,
        up: &mut ups,
    };
    cpu::activate_gated_backward(activation, grad.len(), &[], &grad, gated, call)?;
    Ok((B::like(gate, gates), B::like(up, ups)))
}

/// The scores in f32 with the factor and the mask applied, and the mask in the scores' shape.
fn prepared<B: HostBackend>(
    scores: FloatTensor<B>,
    hidden: Option<BoolTensor<B>>,
    options: Scores,
) -> (FloatTensor<B>, Option<BoolTensor<B>>) {
    let shape = scores.shape();
    let hidden = hidden.map(|hidden| B::bool_expand(hidden, shape));
    let scores = B::float_cast(scores, FloatDType::F32);
    let mut scores = B::float_mul_scalar(scores, options.factor.into());
    if let Some(hidden) = &hidden {
        scores = B::float_mask_fill(scores, hidden.clone(), options.fill.into());
    }
    (scores, hidden)
}

fn rows_of<B: HostBackend>(scores: &FloatTensor<B>) -> Softmax {
    let shape = scores.shape();
    let columns = shape[shape.num_dims() - 1] as u32;
    Softmax::new(columns, 1.0).unwrap_or_else(|error| panic!("{error}"))
}

fn softmax<B: HostBackend>(
    scores: &FloatTensor<B>,
    call: &DropoutCall,
) -> Result<FloatTensor<B>, CpuError> {
    let elements = B::elements::<f32>(scores);
    let (rows, len) = (rows_of::<B>(scores), elements.len());
    let mut output = zeros(len);
    let slices = (&elements[..], &mut output[..]);
    cpu::softmax(rows, AttentionMask::None, len, slices, None, call)?;
    Ok(B::like(scores, output))
}

fn softmax_backward<B: HostBackend>(
    grad: &FloatTensor<B>,
    scores: &FloatTensor<B>,
    call: &DropoutCall,
) -> Result<FloatTensor<B>, CpuError> {
    let (grad, elements) = (B::elements::<f32>(grad), B::elements::<f32>(scores));
    let (rows, len) = (rows_of::<B>(scores), elements.len());
    let mut output = zeros(len);
    let slices = (&grad[..], &mut output[..]);
    let saved = SavedSoftmax::Scores(&elements[..]);
    cpu::softmax_backward(rows, AttentionMask::None, len, saved, slices, call)?;
    Ok(B::like(scores, output))
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

fn normed<B: HostBackend, T: Element + BurnElement>(
    norm: &AddNorm<'_>,
    input: &FloatTensor<B>,
    residual: &FloatTensor<B>,
    call: &DropoutCall,
) -> Result<(FloatTensor<B>, FloatTensor<B>), CpuError> {
    let (elements, residuals) = (B::elements::<T>(input), B::elements::<T>(residual));
    let len = residuals.len();
    let (mut sum, mut output) = (zeros(len), zeros(len));
    let sums = (&residuals[..], &mut sum[..]);
    cpu::add_norm(norm, len, &elements, sums, &mut output, call)?;
    Ok((B::like(input, sum), B::like(input, output)))
}

fn norm_backward<B: HostBackend, T: Element + BurnElement>(
    norm: Norm,
    grad: &FloatTensor<B>,
    sum: &FloatTensor<B>,
    gamma: &[f32],
) -> Result<(FloatTensor<B>, FloatTensor<B>), CpuError> {
    // This call drops nothing, since dropout's gradient is a step of its own.
    let nothing = DropoutCall::new(DropoutRate::ZERO, MaskKey::new(0, 0));
    let beta = beta_of(norm, Vec::new(), gamma.len());
    let norm = add_norm(norm, &[], gamma, &beta);
    let (grads, sums) = (B::elements::<T>(grad), B::elements::<T>(sum));
    let len = grads.len();
    let (mut grad_sum, mut product) = (zeros(len), zeros(len));
    let slices = (&grads[..], &mut product[..]);
    cpu::add_norm_backward(&norm, len, &sums, slices, &mut grad_sum, &nothing, false)?;
    // With a gamma of ones, and with no beta or a beta of zeros, the result is the norm before
    // gamma and beta.
    let ones = vec![1.0; gamma.len()];
    let zero_beta = vec![0.0; if norm.norm.is_rms() { 0 } else { ones.len() }];
    let plain = add_norm(norm.norm, &[], &ones, &zero_beta);
    let nothing_added = zeros::<T>(len);
    let mut kept = sums.to_vec();
    let kept = &mut kept[..];
    cpu::add_norm(&plain, len, &nothing_added, kept, &mut product, &nothing)?;
    for (x, grad) in product.iter_mut().zip(grads.iter()) {
        *x = T::from_f32(x.to_f32() * grad.to_f32());
    }
    Ok((B::like(sum, grad_sum), B::like(sum, product)))
}
