//! The cost of a rank's shard does not grow with the number of ranks. `cargo test --test cpu --
//! scale --nocapture` prints the table of docs/parallel-training.md.

use std::time::Instant;

use allocation_counter::{AllocationInfo, measure};
use wgpu_dropout::launch::{Launch, LaunchLimits, launches};
use wgpu_dropout::{Direction, DropoutCall, DropoutRate, ElementType, MaskKey, MaskLayout};

use super::device::Noop;

/// Side of a rank's square shard, which has 2^28 elements.
const SIDE: u64 = 1 << 14;
const RANKS: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

type Shard = fn(u64, u64) -> MaskLayout;

fn whole(rows: u64, columns: u64) -> MaskLayout {
    MaskLayout::elementwise(&[SIDE * rows, SIDE * columns]).unwrap()
}

fn data(ranks: u64, rank: u64) -> MaskLayout {
    whole(ranks, 1).mesh(&[(0, ranks, rank)]).unwrap()
}

fn tensor(ranks: u64, rank: u64) -> MaskLayout {
    whole(1, ranks).mesh(&[(1, ranks, rank)]).unwrap()
}

fn both(ranks: u64, rank: u64) -> MaskLayout {
    let columns = ranks.min(8);
    let rows = ranks / columns;
    let cuts = [(0, rows, rank / columns), (1, columns, rank % columns)];
    whole(rows, columns).mesh(&cuts).unwrap()
}

/// The second of a rank's two zigzag shards. The whole has twice as many rows.
fn zigzag(ranks: u64, rank: u64) -> MaskLayout {
    let [_, late] = whole(2 * ranks, 1).zigzag(0, ranks, rank).unwrap();
    late
}

fn call() -> DropoutCall {
    DropoutCall::new(
        DropoutRate::new(0.1).unwrap(),
        MaskKey::layer_step(42, 3, 7),
    )
}

fn planned(layout: &MaskLayout) -> Vec<Launch> {
    let limits = LaunchLimits::default();
    let planned = launches(
        layout,
        ElementType::F32,
        &call(),
        Direction::Forward,
        limits,
    );
    planned.unwrap().collect()
}

#[test]
fn a_ranks_work_does_not_grow_with_the_ranks() {
    let noop = Noop::new(wgpu::Features::empty(), wgpu::Limits::default());
    let mask = noop.buffer(SIDE * SIDE / 8);
    let cuts: [(&str, Shard); 4] = [
        ("data", data),
        ("tensor", tensor),
        ("data x tensor", both),
        ("zig-zag", zigzag),
    ];
    // Negative control: a tensor of twice the size needs twice the launches.
    let planned_of = |layout: &MaskLayout| planned(layout).len();
    assert_eq!(planned_of(&whole(2, 1)), 2 * planned_of(&whole(1, 1)));
    println!("cut            ranks  dispatches  allocations  microseconds");
    for (name, shard) in cuts {
        // The counts of 2 ranks. A single rank differs, since the whole has consecutive indices.
        let mut of_two: Option<(Vec<_>, AllocationInfo)> = None;
        for ranks in RANKS {
            let last = || shard(ranks, ranks - 1);
            assert_eq!(last().len(), SIDE * SIDE);
            let kernels: Vec<_> = planned(&last())
                .into_iter()
                .map(|launch| (launch.kernel, launch.workgroups))
                .collect();
            // Makes the shard, its bind groups and its dispatches.
            let record = || {
                let layout = last();
                let binding = noop
                    .keep_mask
                    .bind_layout(mask.as_entire_buffer_binding(), &layout)
                    .unwrap();
                let mut encoder = noop.device.create_command_encoder(&Default::default());
                let mut pass = encoder.begin_compute_pass(&Default::default());
                noop.keep_mask.encode(&mut pass, &binding, &call()).unwrap();
            };
            // The first use compiles the pipelines.
            record();
            let cost = measure(|| drop((last(), planned(&last()))));
            // The minimum, since it is the time that other programs disturb least.
            let seconds = (0..20).map(|_| {
                let start = Instant::now();
                record();
                start.elapsed().as_secs_f64()
            });
            let microseconds = 1e6 * seconds.fold(f64::INFINITY, f64::min);
            println!(
                "{name:<13}  {ranks:>5}  {:>10}  {:>11}  {microseconds:>12.0}",
                kernels.len(),
                cost.count_total,
            );
            if ranks > 1 {
                let (first, least) = of_two.get_or_insert_with(|| (kernels.clone(), cost));
                assert_eq!(*first, kernels, "{name} {ranks}");
                assert_eq!(
                    (least.count_total, least.bytes_total),
                    (cost.count_total, cost.bytes_total),
                    "{name} {ranks}"
                );
            }
        }
    }
}
