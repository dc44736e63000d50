//! The examples of kernels of one's own: their masks are the library's and the naive twin's, and their values
//! those of f64.

#![allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "each example is a program too"
)]

#[path = "../../examples/lora.rs"]
mod lora;
#[path = "../../examples/matmul_epilogue.rs"]
mod matmul_epilogue;
#[path = "../../examples/own_kernels/mod.rs"]
mod own_kernels;
#[path = "../../examples/rnn_cell.rs"]
mod rnn_cell;

use self::matmul_epilogue::{Dense, Size};
use crate::adapters::Variant;
use crate::case::{Case, Run, text};
use crate::common::{compare, inputs};
use crate::gpu::Gpu;

/// On devices of downlevel limits.
const fn case(name: &'static str, run: Run) -> Case {
    Case::new(name, run).on(Variant::Bare)
}

pub const CASES: &[Case] = &[
    case("the_product_s_masks_are_one", masks_of_product),
    case("the_product_is_that_of_f64", product),
    case("lora_s_prologue_and_gradient_have_one_mask", lora),
    case("a_cell_s_mask_is_locked_over_time", cell),
    case("another_stream_is_noticed", another_stream),
];

const RATES: [f64; 4] = [0.0, 0.1, 0.5, 1.0];

/// The packed mask of what dropout made of elements that are all positive.
fn kept(y: &[f32]) -> Vec<u32> {
    let word = |y: &[f32]| {
        (0..)
            .zip(y)
            .map(|(bit, &y)| u32::from(y != 0.0) << bit)
            .sum()
    };
    y.chunks(32).map(word).collect()
}

/// Outputs of ones are zero exactly where the twin drops them, and a gradient of ones has their bits.
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

/// The negative control: each check sees the mask of another stream.
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
    let inputs = lora_inputs();
    let lora = lora::run(device, queue, &inputs, &other).map_err(text)?;
    let lora = lora::check(&inputs, &call, &lora);
    let inputs = cell_inputs();
    let cell = rnn_cell::run(device, queue, &inputs, &other).map_err(text)?;
    let cell = rnn_cell::check(&inputs, &call, &cell);

    let noticed = [product.is_err(), lora.is_err(), cell.is_err()];
    if noticed.contains(&false) {
        return Err(format!("checks that noticed another stream: {noticed:?}"));
    }
    Ok(())
}
