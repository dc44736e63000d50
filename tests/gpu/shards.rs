//! Shards of a tensor, some on the GPU and some on the CPU, give the whole bit for bit [M13].

use wgpu_dropout::{DropoutCall, MaskLayout, cpu};

use crate::case::{Case, must_differ, text};
use crate::common::inputs::{self, call, values};
use crate::common::{compare, reference};
use crate::gpu::Gpu;
use crate::run::{self, Direction, Item, Layout, Mode, Source};

pub const CASES: &[Case] = &[
    Case::new("gpu_and_cpu_stitched", stitched),
    Case::new("a_shard_without_its_start_differs", without_start),
];

const WHOLE: [u64; 3] = [6, 48, 40];
const FORWARD: Mode = Mode::new(Layout::Separate, Direction::Forward);

/// A shard: its start coordinates and its shape.
type Part = ([u64; 3], [u64; 3]);

/// Splits the whole along `axis` into `parts` shards, as equal as possible.
fn cut(axis: usize, parts: u64) -> Vec<Part> {
    let at = |part| WHOLE[axis] * part / parts;
    let part = |part| {
        let (mut start, mut shape) = ([0; 3], WHOLE);
        start[axis] = at(part);
        shape[axis] = at(part + 1) - at(part);
        (start, shape)
    };
    (0..parts).map(part).collect()
}

/// The positions in the whole of a shard's elements.
fn places((start, shape): &Part) -> Vec<usize> {
    let [_, rows, columns] = WHOLE;
    let steps = [rows * columns, columns, 1];
    let first = (0..3).map(|d| start[d] * steps[d]).sum();
    let places = reference::indices(shape, &steps, first);
    places.into_iter().map(|place| place as usize).collect()
}

fn shard((start, shape): &Part) -> Result<MaskLayout, String> {
    MaskLayout::elementwise(&WHOLE)
        .and_then(|whole| whole.shard(start, shape))
        .map_err(text)
}

/// Dropout of `x`, one shard after the other. GPU and CPU take turns.
fn stitch(
    gpu: &Gpu,
    call: DropoutCall,
    x: &[f32],
    parts: &[Part],
    gpu_first: bool,
) -> Result<Vec<f32>, String> {
    let mut y = vec![f32::NAN; x.len()];
    let mut put = |part: &Part, got: &[f32]| {
        places(part)
            .into_iter()
            .zip(got)
            .for_each(|(place, &got)| y[place] = got);
    };
    let (mut on_gpu, mut items) = (Vec::new(), Vec::new());
    for (number, part) in parts.iter().enumerate() {
        let x: Vec<f32> = places(part).into_iter().map(|place| x[place]).collect();
        let layout = shard(part)?;
        if (number % 2 == 0) == gpu_first {
            on_gpu.push(part);
            items.push(Item {
                call,
                x,
                source: Source::Layout(layout),
            });
        } else {
            let mut got = vec![f32::NAN; x.len()];
            cpu::apply(Direction::Forward, &layout, (&x, &mut got), &call).map_err(text)?;
            put(part, &got);
        }
    }
    for (part, got) in on_gpu.into_iter().zip(run::dropout(gpu, FORWARD, &items)?) {
        put(part, &got);
    }
    Ok(y)
}

fn stitched(gpu: &Gpu) -> Result<(), String> {
    let x = values(WHOLE.iter().product());
    for origin in [0, 5, u64::MAX - 11_519] {
        let call = call(0.3, origin);
        let whole = inputs::dropout(&call, &x);
        for (axis, parts) in (0..3).flat_map(|axis| [(axis, 2), (axis, 3)]) {
            for gpu_first in [true, false] {
                let got = stitch(gpu, call, &x, &cut(axis, parts), gpu_first)?;
                compare::f32_copies(&whole, &got)
                    .map_err(|difference| format!("{difference}; {parts} along {axis}, {call}"))?;
            }
        }
    }
    Ok(())
}

/// Negative control: the comparison notices shards that all start at 0.
fn without_start(gpu: &Gpu) -> Result<(), String> {
    let x = values(WHOLE.iter().product());
    let call = call(0.3, 0);
    let whole = inputs::dropout(&call, &x);
    for axis in 0..3 {
        let part = cut(axis, 2)[1];
        let slice = |of: &[f32]| places(&part).into_iter().map(|p| of[p]).collect::<Vec<_>>();
        let item = |layout| Item {
            call,
            x: slice(&x),
            source: Source::Layout(layout),
        };
        let items = [item(shard(&part)?), item(shard(&([0; 3], part.1))?)];
        let got = run::dropout(gpu, FORWARD, &items)?;
        compare::f32_copies(&slice(&whole), &got[0])?;
        let first = compare::f32_copies(&slice(&whole), &got[1]);
        must_differ(format!("the first part along {axis} for the second"), first)?;
    }
    Ok(())
}
