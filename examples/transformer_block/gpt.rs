//! The blocks of the network, from the embedding to the loss.

use anyhow::Result;
use wgpu_dropout::ColumnSums;
use wgpu_dropout::Direction::{Backward, Forward};

use crate::kernels::{self, Source, vectors};
use crate::tape::{Matrices, Range, Start, Tape, Tensor};

pub const LAYERS: u32 = 4;
pub const WIDTH: u32 = 128;
pub const HEADS: u32 = 4;
/// Number of tokens in a sample.
pub const CONTEXT: u32 = 64;
/// The text has 62 characters. This is the next multiple of 8.
pub const VOCABULARY: u32 = 64;

/// Number of parameters. Each layer has its weights and the bias of its hidden units; then come
/// embedding and head, then the positions and the vectors of each site.
pub const PARAMETERS: u64 = (LAYERS * (12 * WIDTH + 4) * WIDTH
    + 2 * VOCABULARY * WIDTH
    + (CONTEXT + 2 + 6 * LAYERS) * WIDTH) as u64;

/// Number of branches that are added to the residual stream. Their weights are scaled so that the
/// sum keeps a variance of 1.
const BRANCHES: u32 = 2 * LAYERS;

const fn embedding(entry_point: &'static str) -> Source {
    Source {
        entry_point,
        text: concat!(
            include_str!("../shaders/step.wgsl"),
            include_str!("embedding.wgsl")
        ),
        reads: 2,
        writes: 1,
    }
}

/// Bytes of scratch memory for column sums over this many rows.
pub fn scratch_bytes(rows: u32) -> u64 {
    let samples = u64::from(rows / CONTEXT);
    ColumnSums::scratch_bytes(rows.into(), 4 * WIDTH)
        .max(ColumnSums::scratch_bytes(samples, CONTEXT * WIDTH))
}

impl Tape<'_> {
    /// The network: from pairs of a token and its successor to the log-probabilities of the
    /// successor.
    pub fn gpt(&mut self, pairs: &Range, log_probabilities: &Range) -> Result<()> {
        let random = Start::Random(2 * WIDTH);
        let table = self.parameter("embedding", (VOCABULARY * WIDTH).into(), random);
        let embedded = self.activation(WIDTH);
        let rows = ("ROWS", f64::from(self.rows));
        let overrides = [rows, ("COLUMNS", WIDTH.into())];
        let ranges = [&table.data, pairs, &embedded.data];
        self.elementwise(Forward, &embedding("embed"), &overrides, &ranges, 2);
        let ranges = [&embedded.grad, pairs, &table.grad];
        let moved = (vectors(table.grad.len), embedded.grad.len + table.grad.len);
        self.own(
            Backward,
            &embedding("embed_gradient"),
            &overrides,
            &ranges,
            moved,
        );

        let positions = ("positions", (CONTEXT * WIDTH).into(), random);
        let bias = ("bias", WIDTH.into(), Start::All(0.0));
        let [mut stream, mut normed] = self.site(&embedded, None, false, positions)?;
        for layer in 0..LAYERS {
            let taken = self.attention(&normed)?;
            let branch = self.linear(
                "attention",
                &taken,
                WIDTH,
                Start::Random(2 * BRANCHES * WIDTH),
            );
            [stream, normed] = self.site(&branch, Some(&stream), false, bias)?;
            let up = self.linear("up", &normed, 4 * WIDTH, random);
            let hidden = self.activated(&up, 4 * WIDTH)?;
            let branch = self.linear(
                "down",
                &hidden,
                WIDTH,
                Start::Random(2 * BRANCHES * 4 * WIDTH),
            );
            [stream, normed] = self.site(&branch, Some(&stream), layer + 1 == LAYERS, bias)?;
        }
        let logits = self.activation(VOCABULARY);
        // The gradient overwrites the logits.
        let logits = Tensor {
            data: logits.grad.clone(),
            ..logits
        };
        self.linear_into("head", &normed, &logits, random);
        let classes = ["COLUMNS", "CLASSES"].map(|name| (name, f64::from(VOCABULARY)));
        let overrides = [rows, classes[0], classes[1]];
        let ranges = [pairs, &logits.data, log_probabilities];
        let moved = ([self.rows.div_ceil(8), 1, 1], 3 * logits.data.len);
        self.own(Forward, &kernels::CROSS_ENTROPY, &overrides, &ranges, moved);
        Ok(())
    }

    /// Returns the weighted sums of values of all heads, before the last matrix product.
    fn attention(&mut self, normed: &Tensor) -> Result<Tensor> {
        let own = WIDTH / HEADS;
        let heads = |tensor: &Tensor, begin, stride| Matrices {
            begin,
            sample: CONTEXT * stride,
            head: own,
            ..Matrices::one(tensor, stride)
        };
        let squares = |tensor: &Tensor| Matrices {
            sample: HEADS * CONTEXT * CONTEXT,
            head: CONTEXT * CONTEXT,
            ..Matrices::one(tensor, CONTEXT)
        };
        let matrices = [self.rows / CONTEXT, HEADS];
        let qkv = self.linear("qkv", normed, 3 * WIDTH, Start::Random(2 * WIDTH));
        let [queries, keys, values] = [0, 1, 2].map(|i| heads(&qkv, i * WIDTH, 3 * WIDTH));
        let scores = self.activation(HEADS * CONTEXT);
        let sizes = [CONTEXT, CONTEXT, own];
        self.product(
            sizes,
            matrices,
            &queries,
            &keys.transposed(),
            &squares(&scores),
        );
        let factor = 1.0 / f32::sqrt(own as f32);
        let weights = self.attention_weights(&scores, CONTEXT, factor)?;
        let taken = self.activation(WIDTH);
        let sizes = [CONTEXT, own, CONTEXT];
        self.product(
            sizes,
            matrices,
            &squares(&weights),
            &values,
            &heads(&taken, 0, WIDTH),
        );
        Ok(taken)
    }

    fn linear(&mut self, name: &'static str, input: &Tensor, outputs: u32, start: Start) -> Tensor {
        let output = self.activation(outputs);
        self.linear_into(name, input, &output, start);
        output
    }

    fn linear_into(&mut self, name: &'static str, input: &Tensor, output: &Tensor, start: Start) {
        let rows = self.rows;
        let [inputs, outputs] =
            [input, output].map(|tensor| (tensor.data.len / u64::from(rows)) as u32);
        let weights = self.parameter(name, u64::from(inputs) * u64::from(outputs), start);
        let [a, b, c] = [(input, inputs), (&weights, outputs), (output, outputs)]
            .map(|(tensor, stride)| Matrices::one(tensor, stride));
        self.product([rows, outputs, inputs], [1, 1], &a, &b, &c);
    }
}
