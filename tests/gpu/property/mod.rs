//! Property test: dropout equals the naive reference for random layouts, ids, packed masks,
//! origins, rates, kinds, types and modes, on devices with random lowered limits.
//!
//! A round has one device and one seed. Each adapter runs rounds for
//! `WGPU_DROPOUT_PROPERTY_SECONDS`, 10 unless set. `WGPU_DROPOUT_PROPERTY_SEED` sets the first
//! round's seed, and then that round runs to its end. A failure prints the seed that repeats it.

mod index_map;
mod tensor;

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::env;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use wgpu_dropout::ElementType;
use wgpu_dropout::half::{bf16, f16};

use crate::adapters::TestAdapter;
use crate::case::{Case, scoped, text};
use crate::common::inputs::KINDS;
use crate::common::{compare, kinds};
use crate::gpu::Gpu;
use crate::run::{self, Item, MODES, Mode};
use tensor::{Map, Tensor, Value, tensors};

pub const CASES: &[Case] = &[
    Case::of_adapter("equals_the_naive_reference", equals_the_reference),
    Case::of_adapter("another_reference_differs", another_reference_differs),
];

const SECONDS: &str = "WGPU_DROPOUT_PROPERTY_SECONDS";
const SEED: &str = "WGPU_DROPOUT_PROPERTY_SEED";
/// A round has few kernels and uses each for many tensors, since compiling takes most of the time.
const PASSES_OF_A_ROUND: u32 = 4;

fn equals_the_reference(adapter: &TestAdapter) -> Result<(), String> {
    let time = Duration::from_secs(variable(SECONDS)?.unwrap_or(10));
    let given = variable(SEED)?;
    let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    eprint!("{SEED}={seed} ");
    let end = Instant::now() + time;
    for (round, seed) in (0..).map(|round| (round, seed.wrapping_add(round))) {
        if round > 0 && Instant::now() >= end {
            break;
        }
        let is_over = || Instant::now() >= end && (round > 0 || given.is_none());
        equals_in_a_round(adapter, seed, is_over)
            .map_err(|failure| format!("{failure}\nrepeat it with {SEED}={seed}"))?;
    }
    Ok(())
}

/// The number in an environment variable, or `None` if that is not set.
fn variable(name: &str) -> Result<Option<u64>, String> {
    let value = env::var(name).ok();
    let number = |text: String| {
        text.parse()
            .map_err(|_| format!("{name}={text} is no integer"))
    };
    value.map(number).transpose()
}

fn equals_in_a_round(
    adapter: &TestAdapter,
    seed: u64,
    is_over: impl Fn() -> bool,
) -> Result<(), String> {
    let has_failed = Cell::new(false);
    Round::new(adapter, seed, PASSES_OF_A_ROUND)?.run(|gpu, pass| {
        // After a failure the time does not count: more runs make the failing pass smaller.
        if is_over() && !has_failed.get() {
            return Ok(());
        }
        let verdicts = pass.check(gpu, Tensor::indices);
        let result = verdicts.and_then(|verdicts| verdicts.into_iter().collect());
        has_failed.set(has_failed.get() || result.is_err());
        result
    })
}

/// Negative control: the comparison notices decisions of the next index.
fn another_reference_differs(adapter: &TestAdapter) -> Result<(), String> {
    let noticed = Cell::new(0);
    let next = |tensor: &Tensor| {
        let indices = tensor.indices().into_iter();
        indices.map(|index| index.wrapping_add(1)).collect()
    };
    Round::new(adapter, 0x5EED, 4)?.run(|gpu, pass| {
        for (tensor, verdict) in pass.tensors.iter().zip(pass.check(gpu, next)?) {
            let differ = tensor.kept(tensor.indices()) != tensor.kept(next(tensor));
            if verdict.is_err() != differ {
                return Err(format!("{verdict:?} of {tensor:?}"));
            }
            noticed.set(noticed.get() + u32::from(differ));
        }
        Ok(())
    })?;
    match noticed.get() {
        0..10 => Err("too few tensors have other decisions at the next index".into()),
        _ => Ok(()),
    }
}

/// The device's limits, which a failure shows.
struct Limits<'a>(&'a Gpu);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.0.device.limits();
        write!(
            f,
            "bindings of {} bytes at multiples of {}, {} workgroups, {} bytes of immediates, {:?}",
            limits.max_storage_buffer_binding_size,
            limits.min_storage_buffer_offset_alignment,
            limits.max_compute_workgroups_per_dimension,
            limits.max_immediate_size,
            self.0.device.features(),
        )
    }
}

/// A random device, and random passes to run on it.
struct Round {
    gpu: Gpu,
    passes: BoxedStrategy<Pass>,
    runner: TestRunner,
}

impl Round {
    fn new(adapter: &TestAdapter, seed: u64, passes: u32) -> Result<Self, String> {
        let mut runner = TestRunner::new(Config {
            cases: passes,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed),
            // In milliseconds.
            max_shrink_time: 30_000,
            max_shrink_iters: 10_000,
            ..Config::default()
        });
        let modes = prop::sample::select(&MODES[..]);
        let types = vec![ElementType::F32, ElementType::F16, ElementType::Bf16];
        let types = prop::sample::select(types);
        let kinds = prop::sample::select(&KINDS[..]);
        let device = device(adapter.features(), adapter.limits());
        let chosen = (device, modes, types, kinds).new_tree(&mut runner);
        let ((features, limits), mode, element, kind) = chosen.map_err(text)?.current();
        // All sample ids must fit into one binding.
        let samples = limits.max_storage_buffer_binding_size / 4;
        let tensors = prop::collection::vec(tensors(kind, samples), 1..3);
        let pass = tensors.prop_map(move |tensors| Pass {
            mode,
            element,
            tensors: tensors.concat(),
        });
        let gpu = adapter.open(features, limits.clone());
        Ok(Self {
            gpu: gpu.map_err(|error| format!("{error}; {features:?}, {limits:?}"))?,
            passes: pass.boxed(),
            runner,
        })
    }

    /// Runs the passes until one fails. Then it looks for smaller passes that fail too.
    fn run(mut self, run: impl Fn(&Gpu, Pass) -> Result<(), String>) -> Result<(), String> {
        let Self {
            gpu,
            passes,
            runner,
        } = &mut self;
        let ran = |pass| run(gpu, pass).map_err(TestCaseError::fail);
        scoped(gpu, || runner.run(passes, ran).map_err(text))
            .map_err(|failure| format!("{failure}\nthe device: {}", Limits(gpu)))
    }
}

/// Features and limits of a random device: some of the adapter's features, and some limits lower
/// than the adapter's.
fn device(
    features: wgpu::Features,
    limits: wgpu::Limits,
) -> impl Strategy<Value = (wgpu::Features, wgpu::Limits)> {
    let binding_bytes = prop::sample::select(vec![256, 512, 1024, 4096, 16_384, 65_536, u64::MAX]);
    let workgroups = prop::sample::select(vec![1, 2, 3, 7, u32::MAX]);
    let coarse = any::<bool>();
    let immediate_bytes = prop::sample::select(vec![16, u32::MAX]);
    let without = prop::sample::select(vec![
        wgpu::Features::empty(),
        wgpu::Features::SHADER_INT64,
        wgpu::Features::IMMEDIATES,
        wgpu::Features::all(),
    ]);
    let low = (binding_bytes, workgroups, coarse, immediate_bytes, without);
    low.prop_map(
        move |(binding_bytes, workgroups, coarse, immediate_bytes, without)| {
            let features = features - without;
            let mut low = limits.clone();
            if coarse {
                low.min_storage_buffer_offset_alignment = 256;
            }
            let alignment: u64 = low.min_storage_buffer_offset_alignment.into();
            let offered = low.max_storage_buffer_binding_size;
            low.max_storage_buffer_binding_size = binding_bytes.max(alignment).min(offered);
            let offered = low.max_compute_workgroups_per_dimension;
            low.max_compute_workgroups_per_dimension = workgroups.min(offered);
            low.max_immediate_size = match features.contains(wgpu::Features::IMMEDIATES) {
                true => immediate_bytes.min(low.max_immediate_size),
                false => 0,
            };
            (features, low)
        },
    )
}

/// Tensors of one type that one pass takes in one mode.
#[derive(Clone, Debug)]
struct Pass {
    mode: Mode,
    element: ElementType,
    tensors: Vec<Tensor>,
}

impl Pass {
    /// Compares masks and values of each tensor with the reference, which uses the mask indices
    /// from `indices`.
    fn check(
        &self,
        gpu: &Gpu,
        indices: impl Fn(&Tensor) -> Vec<u64>,
    ) -> Result<Vec<Result<(), String>>, String> {
        let kept: Vec<_> = self
            .tensors
            .iter()
            .map(|tensor| tensor.kept(indices(tensor)))
            .collect();
        let masks = self.check_masks(gpu, &kept)?;
        let values = match self.element {
            ElementType::F16 => self.check_values::<f16>(gpu, &kept),
            ElementType::Bf16 => self.check_values::<bf16>(gpu, &kept),
            _ => self.check_values::<f32>(gpu, &kept),
        }?;
        Ok(masks
            .into_iter()
            .zip(values)
            .map(|(mask, values)| mask.and(values))
            .collect())
    }

    fn check_values<T: Value>(
        &self,
        gpu: &Gpu,
        kept: &[Vec<bool>],
    ) -> Result<Vec<Result<(), String>>, String> {
        let items: Vec<_> = self.tensors.iter().map(Tensor::item::<T>).collect();
        let got = run::dropout(gpu, self.mode, &items)?;
        let compare_values = |((item, kept), got): ((&Item<T>, &Vec<bool>), Vec<T>)| {
            kinds::check_elements(&item.call, self.mode.direction, kept, &item.x, &got)
        };
        Ok(items
            .iter()
            .zip(kept)
            .zip(got)
            .map(compare_values)
            .collect())
    }

    fn check_masks(
        &self,
        gpu: &Gpu,
        kept: &[Vec<bool>],
    ) -> Result<Vec<Result<(), String>>, String> {
        let mask = |(tensor, kept): (&Tensor, &Vec<bool>)| {
            let call = tensor.call;
            let got = match &tensor.map {
                Map::Linear(len) => run::masks(gpu, &[(call, *len)])?,
                Map::Layout(map) => run::layout_masks(gpu, &[(call, map.layout.clone())])?,
                Map::Samples(map, ids) => {
                    run::sample_masks(gpu, &[(call, map.layout.clone(), ids.clone())])?
                }
                Map::Packed(..) => return Ok(Ok(())),
            };
            Ok(compare::packed_masks(&packed(kept), &got[0])
                .map_err(|difference| format!("{difference}; {call}")))
        };
        self.tensors.iter().zip(kept).map(mask).collect()
    }
}

fn packed(kept: &[bool]) -> Vec<u32> {
    let word = |bits: &[bool]| {
        (0..)
            .zip(bits)
            .map(|(bit, &kept)| u32::from(kept) << bit)
            .sum()
    };
    kept.chunks(32).map(word).collect()
}
