//! The three kinds of site with dropout in this network. Each runs as one fused operation of the
//! library, or as `Dropout` and separate passes of the example. Backward operations are pushed from
//! the last to the first.

use anyhow::Result;
use wgpu_dropout::Direction::{Backward, Forward};
use wgpu_dropout::{
    AttentionMask, Bias, DropoutAddNorm, ElementType, GammaBuffers, NormVectors, SavedSoftmax,
    Softmax,
};

use crate::kernels::{self, Source};
use crate::own_kernels;
use crate::tape::{Range, Start, Tape, Tensor};

const fn apart(entry_point: &'static str, reads: usize, writes: usize) -> Source {
    Source {
        entry_point,
        text: include_str!("apart.wgsl"),
        reads,
        writes,
    }
}

const ADD: Source = apart("add", 2, 1);
const GELU: Source = apart("gelu", 1, 1);
const GELU_GRADIENT: Source = apart("gelu_gradient", 2, 1);
const CAUSAL_SOFTMAX: Source = apart("causal_softmax", 1, 1);
const SOFTMAX_GRADIENT: Source = apart("softmax_gradient", 2, 1);
const LAYER_NORM: Source = apart("layer_norm", 2, 1);
const NORM_GRADIENT: Source = apart("norm_gradient", 3, 2);

impl Tape<'_> {
    /// `sum = residual + dropout(branch + bias)` and its norm. The gradients of all sums share one
    /// buffer. The first site follows the embedding: its bias is the positions, and it has no
    /// residual.
    pub fn site(
        &mut self,
        branch: &Tensor,
        residual: Option<&Tensor>,
        is_last: bool,
        (name, bias_len, start): (&'static str, u64, Start),
    ) -> Result<[Tensor; 2]> {
        let len = branch.data.len;
        let i = self.next_dropout(len);
        let width = (len / u64::from(self.rows)) as u32;
        let columns = u64::from(width);
        let bias = self.parameter(name, bias_len, start);
        let gamma = self.parameter("gamma", columns, Start::All(1.0));
        let beta = self.parameter("beta", columns, Start::All(0.0));
        let (sum, normed) = (self.activation(width), self.activation(width));
        let grad = residual.map_or(&sum.grad, |residual| &residual.grad);
        let sum = Tensor {
            grad: grad.clone(),
            ..sum.clone()
        };
        let residual = residual.map(|residual| &residual.data);
        let numbers = self
            .parameters
            .data
            .part(bias.data.begin, bias_len + 2 * columns);
        let moved = if is_last { 4 } else { 5 };
        let summands = if residual.is_some() { 4 } else { 3 };
        self.column_sums(&branch.grad, &bias.grad)?;
        if self.is_fused {
            let vectors = NormVectors::with_bias(numbers.binding(), width, bias_len as u32);
            let handles = self.handles.clone();
            let (norm, rows) = (&handles.add_norm, u64::from(self.rows));
            let moments_bytes = DropoutAddNorm::moments_bytes(rows);
            let moments = own_kernels::tensor(self.compiler.device, moments_bytes / kernels::F32);
            let scratch = &self.scratch;
            let [to_branch, to_sum, to_normed] =
                [&branch.grad, &sum.grad, &normed.grad].map(Range::binding);
            let [from_branch, stored, output] =
                [&branch.data, &sum.data, &normed.data].map(Range::binding);
            let residual = residual.map(Range::binding);
            let kept = Some(stored.clone());
            let binding = norm.bind(from_branch, residual, kept, output, vectors.clone(), len)?;
            let buffers = GammaBuffers {
                grad_normed: to_normed.clone(),
                sum: stored.clone(),
                moments: moments.as_entire_buffer_binding(),
                scratch: scratch.as_entire_buffer_binding(),
                grad_gamma: gamma.grad.binding(),
            };
            let of_gamma = norm.bind_gamma_gradient(buffers, (rows, width), ElementType::F32)?;
            let gradient =
                norm.bind_backward(to_normed, stored, to_sum, to_branch, vectors, len)?;

            let own = handles.clone();
            self.push(Forward, (1, summands * len), move |pass, calls, _| {
                own.add_norm.encode_forward(pass, &binding, &calls[i])
            });
            let own = handles.clone();
            self.push(Backward, (1, moved * len), move |pass, calls, _| {
                own.add_norm
                    .encode_backward(pass, &gradient, &calls[i], !is_last)
            });
            self.column_sums(&normed.grad, &beta.grad)?;
            self.push(Backward, (3, 3 * len), move |pass, _, _| {
                handles
                    .add_norm
                    .encode_gamma_gradient(pass, &of_gamma, false);
                Ok(())
            });
        } else {
            self.add_bias(&bias.data, &branch.data);
            match residual {
                Some(residual) => {
                    self.dropout(Forward, i, &branch.data, &branch.data)?;
                    self.elementwise(Forward, &ADD, &[], &[residual, &branch.data, &sum.data], 3);
                }
                None => self.dropout(Forward, i, &branch.data, &sum.data)?,
            }
            let rows = ([self.rows, 1, 1], 2 * len);
            let columns = ("COLUMNS", width.into());
            let vectors = numbers.part(bias_len, 2 * u64::from(width));
            self.own(
                Forward,
                &LAYER_NORM,
                &[columns],
                &[&sum.data, &vectors, &normed.data],
                rows,
            );
            self.dropout(Backward, i, &sum.grad, &branch.grad)?;
            self.column_sums(&normed.grad, &beta.grad)?;
            let terms = self.activation(width).data;
            self.column_sums(&terms, &gamma.grad)?;
            let overrides = [columns, ("ACCUMULATES", (!is_last).into())];
            let ranges = [&sum.data, &normed.grad, &vectors, &sum.grad, &terms];
            self.own(
                Backward,
                &NORM_GRADIENT,
                &overrides,
                &ranges,
                ([self.rows, 1, 1], moved * len),
            );
        }
        Ok([sum, normed])
    }

    /// `dropout(gelu(product + bias))` for rows of `width` elements.
    pub fn activated(&mut self, product: &Tensor, width: u32) -> Result<Tensor> {
        let len = product.data.len;
        let i = self.next_dropout(len);
        let bias = self.parameter("up bias", width.into(), Start::All(0.0));
        let hidden = self.activation(width);
        self.column_sums(&product.grad, &bias.grad)?;
        if self.is_fused {
            let handles = self.handles.clone();
            let numbers = || Some(Bias::new(bias.data.binding(), width));
            let [x, y] = [product, &hidden].map(|tensor| tensor.data.binding());
            let [to_x, to_y] = [product, &hidden].map(|tensor| tensor.grad.binding());
            let forward = handles.gelu.bind(x.clone(), y, numbers(), len)?;
            let backward = handles.gelu.bind_backward(to_y, x, to_x, numbers(), len)?;
            let own = handles.clone();
            self.push(Forward, (1, 2 * len), move |pass, calls, _| {
                own.gelu.encode_forward(pass, &forward, &calls[i])
            });
            self.push(Backward, (1, 3 * len), move |pass, calls, _| {
                handles.gelu.encode_backward(pass, &backward, &calls[i])
            });
        } else {
            self.add_bias(&bias.data, &product.data);
            self.elementwise(Forward, &GELU, &[], &[&product.data, &hidden.data], 2);
            self.dropout(Forward, i, &hidden.data, &hidden.data)?;
            let ranges = [&hidden.grad, &product.data, &product.grad];
            self.elementwise(Backward, &GELU_GRADIENT, &[], &ranges, 3);
            self.dropout(Backward, i, &hidden.grad, &hidden.grad)?;
        }
        Ok(hidden)
    }

    /// `dropout(softmax(factor * scores))` for causal matrices with `context` rows and columns.
    pub fn attention_weights(
        &mut self,
        scores: &Tensor,
        context: u32,
        factor: f32,
    ) -> Result<Tensor> {
        let len = scores.data.len;
        let i = self.next_dropout(len);
        let weights = self.activation((len / u64::from(self.rows)) as u32);
        if self.is_fused {
            let handles = self.handles.clone();
            let softmax = Softmax::new(context, factor)?;
            let mask = || AttentionMask::Causal {
                rows_per_matrix: context,
                offset: 0,
            };
            let [x, y] = [scores, &weights].map(|tensor| tensor.data.binding());
            let [to_x, to_y] = [scores, &weights].map(|tensor| tensor.grad.binding());
            let saved = SavedSoftmax::Scores(x.clone());
            let operation = &handles.softmax;
            let forward = operation.bind(softmax, mask(), x, y, None, len)?;
            let backward = operation.bind_backward(softmax, mask(), saved, to_y, to_x, len)?;
            let own = handles.clone();
            self.push(Forward, (1, 2 * len), move |pass, calls, _| {
                own.softmax.encode_forward(pass, &forward, &calls[i])
            });
            self.push(Backward, (1, 3 * len), move |pass, calls, _| {
                handles.softmax.encode_backward(pass, &backward, &calls[i])
            });
        } else {
            let rows = [(len / u64::from(context)) as u32, 1, 1];
            let overrides = [
                ("COLUMNS", context.into()),
                ("CONTEXT", context.into()),
                ("FACTOR", factor.into()),
            ];
            let kept = self.activation((len / u64::from(self.rows)) as u32).data;
            self.own(
                Forward,
                &CAUSAL_SOFTMAX,
                &overrides,
                &[&scores.data, &kept],
                (rows, 2 * len),
            );
            self.dropout(Forward, i, &kept, &weights.data)?;
            let ranges = [&kept, &weights.grad, &scores.grad];
            self.own(
                Backward,
                &SOFTMAX_GRADIENT,
                &overrides,
                &ranges,
                (rows, 3 * len),
            );
            self.dropout(Backward, i, &weights.grad, &weights.grad)?;
        }
        Ok(weights)
    }

    /// Adds the bias in place.
    fn add_bias(&mut self, bias: &Range, data: &Range) {
        let rows = (data.len / bias.len) as f64;
        let overrides = [("ROWS", rows), ("COLUMNS", bias.len as f64)];
        self.elementwise(Forward, &kernels::ADD_BIAS, &overrides, &[bias, data], 2);
    }
}
