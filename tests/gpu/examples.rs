//! The examples of own kernels: their masks equal those of the library and of the naive reference,
//! and their values equal those in f64 within a bound.

#![allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "each example is a program too"
)]

#[path = "../../examples/attention.rs"]
mod attention;
#[path = "../../examples/lora.rs"]
mod lora;
#[path = "../../examples/matmul_epilogue.rs"]
mod matmul_epilogue;
#[path = "../../examples/own_kernels/mod.rs"]
mod own_kernels;
#[path = "../../examples/rnn_cell.rs"]
mod rnn_cell;

use wgpu_dropout::DropoutCall;

use self::attention::{Attention, Shape};
use self::matmul_epilogue::{Dense, Size};
use crate::adapters::Variant;
use crate::case::{Case, Run, text};
use crate::common::{compare, inputs};
use crate::gpu::Gpu;

/// A case on a device without features and with downlevel limits.
const fn case(name: &'static str, run: Run) -> Case {
    Case::new(name, run).on(Variant::Bare)
}

pub const CASES: &[Case] = &[
    case("the_product_s_masks_are_one", masks_of_product),
    case("the_product_is_that_of_f64", product),
    case("attention_s_masks_are_one", masks_of_attention),
    case("attention_is_that_of_f64", attention),
    case("lora_s_prologue_and_gradient_have_one_mask", lora),
    case("a_cell_s_mask_is_locked_over_time", cell),
    case("another_stream_is_noticed", another_stream),
];

const RATES: [f64; 4] = [0.0, 0.1, 0.5, 1.0];

/// The packed mask that shows in the output of dropout, if every kept output is nonzero.
fn kept(y: &[f32]) -> Vec<u32> {
    let word = |y: &[f32]| {
        (0..)
            .zip(y)
            .map(|(bit, &y)| u32::from(y != 0.0) << bit)
            .sum()
    };
    y.chunks(32).map(word).collect()
}

/// For inputs of ones, outputs are zero exactly where the reference drops. A gradient of ones has
/// the same bits.
fn masks_of_product(gpu: &Gpu) -> Result<(), String> {
    for (rows, inner, columns) in [(1, 1, 8), (37, 5, 72), (64, 33, 64)] {
        let dense = Dense::new(
            &gpu.device,
            Size {
                rows,
                inner,
                columns,
            },
        )
        .map_err(text)?;
        let [rows, inner, columns] = [rows, inner, columns].map(|n| n as usize);
        let ones = |len| vec![1.0; len];
        let inputs = [
            ones(rows * inner),
            vec![0.0; inner * columns],
            ones(columns),
            ones(rows * columns),
        ];
        for p in RATES {
            for origin in [0, 8, (1 << 35) - 16, u64::MAX - 8191] {
                let call = inputs::call(p, origin);
                let [y, gradient] = dense
                    .run(&gpu.device, &gpu.queue, &inputs, &call)
                    .map_err(text)?;
                inputs::check_mask(&call, y.len() as u64, &kept(&y))?;
                inputs::check_dropout(&call, &inputs[3], &y)?;
                compare::f32_copies(&y, &gradient)?;
            }
        }
    }
    Ok(())
}

fn product(gpu: &Gpu) -> Result<(), String> {
    for (rows, inner, columns) in [(3, 7, 16), (65, 100, 136)] {
        let size = Size {
            rows,
            inner,
            columns,
        };
        let dense = Dense::new(&gpu.device, size).map_err(text)?;
        let inputs = product_inputs(size);
        for p in RATES {
            let call = inputs::call(p, 24);
            let results = dense
                .run(&gpu.device, &gpu.queue, &inputs, &call)
                .map_err(text)?;
            matmul_epilogue::check(size, &inputs, &call, &results).map_err(text)?;
        }
    }
    Ok(())
}

fn product_inputs(
    Size {
        rows,
        inner,
        columns,
    }: Size,
) -> [Vec<f32>; 4] {
    let [rows, inner, columns] = [rows, inner, columns].map(u64::from);
    [rows * inner, inner * columns, columns, rows * columns].map(own_kernels::numbers)
}

/// Queries of zero make all probabilities equal. With an identity matrix as values, the output
/// shows the mask; as gradient, the gradient of V shows it transposed.
fn masks_of_attention(gpu: &Gpu) -> Result<(), String> {
    let shape = Shape {
        heads: 3,
        length: 70,
        head_size: 72,
    };
    let attention = Attention::new(&gpu.device, shape).map_err(text)?;
    let [heads, length, head_size] = [3, 70, 72];
    let identity = |at: usize| {
        if at / head_size % length == at % head_size {
            1.0
        } else {
            0.0
        }
    };
    let identity: Vec<f32> = (0..heads * length * head_size).map(identity).collect();
    let inputs = [vec![0.0; 2 * identity.len()], identity.clone()].concat();
    for p in RATES {
        for origin in [0, 5, (1 << 35) - 70] {
            let call = inputs::call(p, origin);
            let [output, _, _, grad_v] = attention
                .run(&gpu.device, &gpu.queue, &inputs, &identity, &call)
                .map_err(text)?;
            let at = |head, row, column| (head * length + row) * head_size + column;
            let (mut forward, mut backward) = (Vec::new(), Vec::new());
            for head in 0..heads {
                for query in 0..length {
                    forward.extend((0..length).map(|key| output[at(head, query, key)]));
                    backward.extend((0..length).map(|key| grad_v[at(head, key, query)]));
                }
            }
            inputs::check_layout_mask(&call, &attention.layout, &kept(&forward))?;
            inputs::check_layout_mask(&call, &attention.layout, &kept(&backward))?;
        }
    }
    Ok(())
}

/// Compares attention under `call` with attention under `expected` in f64.
fn check_attention(
    gpu: &Gpu,
    attention: &Attention,
    magnitude: f32,
    call: &DropoutCall,
    expected: &DropoutCall,
) -> Result<(), String> {
    let len = attention.shape.elements();
    let inputs = own_kernels::numbers(3 * len)
        .into_iter()
        .map(|x| magnitude * x);
    let inputs: Vec<_> = inputs.collect();
    let grad_output = own_kernels::numbers(len);
    let got = attention
        .run(&gpu.device, &gpu.queue, &inputs, &grad_output, call)
        .map_err(text)?;
    let errors = attention
        .errors(&inputs, &grad_output, expected, &got)
        .map_err(text)?;
    for (name, (error, share)) in ["output", "dQ", "dK", "dV"].into_iter().zip(errors) {
        if share > 1.0 {
            return Err(format!(
                "{name} is off by up to {error:e}, {share:.3} of its bound; {call}, {:?}, causal {}",
                attention.shape, attention.causal
            ));
        }
    }
    Ok(())
}

fn attention(gpu: &Gpu) -> Result<(), String> {
    // Lengths that are no multiple of a tile, head sizes that are no multiple of the lanes, and
    // scores of hundreds.
    for (heads, length, head_size, magnitude) in
        [(1, 1, 4, 3.0), (6, 77, 20, 3.0), (2, 33, 72, 20.0)]
    {
        let shape = Shape {
            heads,
            length,
            head_size,
        };
        let mut attention = Attention::new(&gpu.device, shape).map_err(text)?;
        for causal in [false, true] {
            attention.causal = causal;
            for p in RATES {
                let call = inputs::call(p, 3);
                check_attention(gpu, &attention, magnitude, &call, &call)?;
            }
        }
    }
    Ok(())
}

fn lora(gpu: &Gpu) -> Result<(), String> {
    let inputs = lora_inputs();
    for p in RATES {
        let call = inputs::call(p, (1 << 35) - 5);
        let results = lora::run(&gpu.device, &gpu.queue, &inputs, &call).map_err(text)?;
        lora::check(&inputs, &call, &results).map_err(text)?;
    }
    Ok(())
}

fn lora_inputs() -> [Vec<f32>; 3] {
    use lora::{FEATURES, RANK, ROWS};
    [ROWS * FEATURES, FEATURES * RANK, ROWS * FEATURES].map(own_kernels::numbers)
}

fn cell(gpu: &Gpu) -> Result<(), String> {
    let inputs = cell_inputs();
    for p in RATES {
        let call = inputs::call(p, (1 << 35) - 5);
        let h = rnn_cell::run(&gpu.device, &gpu.queue, &inputs, &call).map_err(text)?;
        rnn_cell::check(&inputs, &call, &h).map_err(text)?;
    }
    Ok(())
}

fn cell_inputs() -> [Vec<f32>; 2] {
    use rnn_cell::{SAMPLES, TIME, UNITS};
    [TIME * SAMPLES * UNITS, UNITS * UNITS].map(own_kernels::numbers)
}

/// Negative control: each check notices the mask of another stream.
fn another_stream(gpu: &Gpu) -> Result<(), String> {
    let call = inputs::call(0.1, 0);
    let mut other = call;
    other.key.stream += 1;
    let (device, queue) = (&gpu.device, &gpu.queue);

    let size = Size {
        rows: 20,
        inner: 9,
        columns: 24,
    };
    let inputs = product_inputs(size);
    let dense = Dense::new(device, size).map_err(text)?;
    let product = dense.run(device, queue, &inputs, &other).map_err(text)?;
    let product = matmul_epilogue::check(size, &inputs, &call, &product);
    let shape = Shape {
        heads: 2,
        length: 33,
        head_size: 4,
    };
    let attention = Attention::new(device, shape).map_err(text)?;
    let attention = check_attention(gpu, &attention, 3.0, &other, &call);
    let inputs = lora_inputs();
    let lora = lora::run(device, queue, &inputs, &other).map_err(text)?;
    let lora = lora::check(&inputs, &call, &lora);
    let inputs = cell_inputs();
    let cell = rnn_cell::run(device, queue, &inputs, &other).map_err(text)?;
    let cell = rnn_cell::check(&inputs, &call, &cell);

    let noticed = [
        product.is_err(),
        attention.is_err(),
        lora.is_err(),
        cell.is_err(),
    ];
    if noticed.contains(&false) {
        return Err(format!("checks that noticed another stream: {noticed:?}"));
    }
    Ok(())
}
