//! The check of the [functions](crate::wgsl::functions) for users' own kernels. A driver kernel
//! calls each function once per element, and the results are compared with the contract.

use std::borrow::Cow;

use bytemuck::{Pod, Zeroable};

use super::checks::Audit;
use super::kernels::rate;
use super::random::Random;
use super::reference::{self, Effect, Expected, Uniforms};
use super::run::{canary, value};
use super::work::{MARGIN_WORDS, drop_threshold};
use super::{Failure, Outcome};
#[cfg(test)]
use crate::host::faults;
use crate::host::round_trip::{self, Content};
use crate::wgsl::{FunctionsOptions, Multiply, functions};
use crate::{Direction, DropoutCall, DropoutKind, DropoutMask, ElementType, MaskKey};

const DRIVER: &str = include_str!("functions.wgsl");

/// Elements of a call, a multiple of the driver's workgroup.
const ELEMENTS: u64 = 128;

/// The words that the driver writes for an element.
const RESULTS: [&str; 12] = [
    "dropout_keep",
    "dropout_index",
    "the upper word of dropout_index",
    "dropout_index_after",
    "the upper word of dropout_index_after",
    "dropout_keep_at",
    "dropout_keep_8",
    "dropout_keep_32",
    "dropout_value",
    "dropout_alpha",
    "dropout_gaussian",
    "dropout_gaussian_at",
];

/// The parameters of the driver for a call.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Params {
    mask: DropoutMask,
    stride: [u32; 2],
    strides: [u32; 4],
}

/// A call, and the strides of the mask indices for which the driver calls the functions.
struct Case {
    call: DropoutCall,
    stride: u64,
    strides: [u32; 4],
}

impl Case {
    fn params(&self) -> Result<Params, Failure> {
        Ok(Params {
            // dropout_keep_32 for the last element also decides the 31 indices after it.
            mask: self.call.mask_params(0, ELEMENTS + 31)?,
            stride: [self.stride as u32, (self.stride >> 32) as u32],
            strides: self.strides,
        })
    }

    /// The mask index that dropout_index_after must return.
    fn far(&self, element: u64) -> u64 {
        self.call.origin + element * self.stride
    }

    /// The mask index that dropout_index must return.
    fn shared(&self, element: u64) -> u64 {
        let coordinates = [element / 30, element / 15 % 2, element / 5 % 3, element % 5];
        let terms = coordinates.into_iter().zip(self.strides);
        let offset = terms.map(|(coordinate, stride)| coordinate * u64::from(stride));
        self.call.origin + offset.sum::<u64>()
    }

    /// The results that the driver must write for an element `x`. `None` for a function that does
    /// not belong to the call's kind.
    fn expected(&self, element: u64, x: u32) -> [Option<Expected>; RESULTS.len()] {
        let call = &self.call;
        let threshold = drop_threshold(call);
        let mut uniforms = Uniforms::new(call.key);
        let mut keeps = |index| u32::from(uniforms.keeps(index, threshold));
        let (own, far) = (call.origin + element, self.far(element));
        let kept = keeps(own);
        let mut bits = |first: u64, len: u64| (0..len).map(|i| keeps(first + i) << i).sum::<u32>();
        let (eight, row) = (bits(far / 8 * 8, 8), bits(own, 32));
        let far_kept = keeps(far);
        let effect = |direction| {
            let effect = Effect::new(call.kind, direction, threshold, false)?;
            Some(passed(effect.of(ElementType::F32, x, kept == 1)))
        };
        let is_alpha = call.kind == DropoutKind::Alpha;
        let is_noise = call.kind == DropoutKind::Gaussian;
        let noise = |index| {
            let noise = reference::gaussian(ElementType::F32, call.key, index, threshold, x);
            let copy = passed(Expected::Bits(x));
            is_noise.then_some(if threshold == 0 { copy } else { noise })
        };
        let words = |index: u64| [index as u32, (index >> 32) as u32];
        let [shared_low, shared_high] = words(self.shared(element));
        let [far_low, far_high] = words(far);
        let bits = |bits| Some(Expected::Bits(bits));
        [
            bits(kept),
            bits(shared_low),
            bits(shared_high),
            bits(far_low),
            bits(far_high),
            bits(far_kept),
            bits(eight),
            bits(row),
            // For alpha dropout, `dropout_value` computes the gradient.
            (!is_noise).then(|| effect(Direction::Backward)).flatten(),
            is_alpha.then(|| effect(Direction::Forward)).flatten(),
            noise(own),
            noise(far),
        ]
    }
}

/// The results that are allowed once bits have passed through an f32: a device may return any NaN
/// for a NaN, and a zero for a subnormal number.
fn passed(expected: Expected) -> Expected {
    match expected {
        Expected::Bits(bits) if f32::from_bits(bits).is_nan() => Expected::Nan,
        Expected::Bits(bits) if f32::from_bits(bits).is_subnormal() => Expected::BitsOrZero(bits),
        other => other,
    }
}

impl Audit<'_> {
    /// Checks every function, with each way to multiply that the device supports.
    pub async fn functions(&self) -> Result<Outcome, Failure> {
        let random = &mut Random::new(self.seed(), 10);
        let cases = cases(random);
        let mut before = vec![0; cases.len() * ELEMENTS as usize];
        before.fill_with(|| value(ElementType::F32, random));
        let mut results = 0;
        let has_u64 = self.gpu.multiplies_by_u64();
        for multiply in [Multiply::Halves, Multiply::U64] {
            if multiply == Multiply::U64 && !has_u64 {
                continue;
            }
            let after = self.call_each(multiply, &cases, &before).await?;
            results += check(&cases, &before, &after).map_err(|(expected, got)| {
                Failure::new(format!("{expected}, by {multiply:?}"), got)
            })?;
        }
        Ok(Outcome::Passed {
            figure: format!("{results} results in {} calls", cases.len()),
        })
    }

    /// Runs the driver. Returns its results and the margin after them.
    async fn call_each(
        &self,
        multiply: Multiply,
        cases: &[Case],
        input: &[u32],
    ) -> Result<Vec<u32>, Failure> {
        let options = FunctionsOptions::default().with_multiply(multiply);
        let text = functions(&options)? + DRIVER;
        #[cfg(test)]
        let text = faults::functions(text);
        let device = self.gpu.device;
        let params: Result<Vec<_>, _> = cases.iter().map(Case::params).collect();
        let (params, canaries) = (params?, canaries(input.len()));
        let mut words = Vec::new();
        let contents = [
            Content::Constant(bytemuck::cast_slice(&params)),
            Content::Constant(bytemuck::cast_slice(input)),
            Content::Bytes(bytemuck::cast_slice(&canaries)),
        ];
        round_trip::run(
            device,
            self.gpu.queue,
            &contents,
            &mut words,
            |pass, buffers| {
                let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: Some("wgpu-dropout audit"),
                    source: wgpu::ShaderSource::Wgsl(Cow::Owned(text)),
                });
                let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some("wgpu-dropout audit"),
                    layout: None,
                    module: &module,
                    entry_point: None,
                    compilation_options: Default::default(),
                    cache: None,
                });
                let entries: Vec<_> = (0..)
                    .zip(buffers)
                    .map(|(binding, buffer)| wgpu::BindGroupEntry {
                        binding,
                        resource: buffer.as_entire_binding(),
                    })
                    .collect();
                let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("wgpu-dropout audit"),
                    layout: &pipeline.get_bind_group_layout(0),
                    entries: &entries,
                });
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(ELEMENTS as u32 / 64, cases.len() as u32, 1);
                Ok(())
            },
        )
        .await?;
        Ok(words)
    }
}

/// The content of the driver's output before it runs.
fn canaries(elements: usize) -> Vec<u32> {
    let words = elements * RESULTS.len() + MARGIN_WORDS;
    (0..words).map(canary).collect()
}

/// Returns the number of results, or what was expected of the first wrong one and what the device
/// wrote.
fn check(cases: &[Case], input: &[u32], output: &[u32]) -> Result<usize, (String, String)> {
    let mut results = 0;
    let mut rows = output.chunks_exact(RESULTS.len());
    for (case, input) in cases.iter().zip(input.chunks(ELEMENTS as usize)) {
        for ((element, x), row) in (0..).zip(input).zip(&mut rows) {
            let expected = case.expected(element, *x);
            for ((name, expected), got) in RESULTS.iter().zip(expected).zip(row) {
                let Some(expected) = expected else { continue };
                results += 1;
                if !expected.admits(ElementType::F32, *got) {
                    let call = &case.call;
                    return Err((
                        format!("{expected} of {name} for element {element}, {x:#x} ({call})"),
                        format!("{got:#x}"),
                    ));
                }
            }
        }
    }
    let first = input.len() * RESULTS.len();
    match (first..)
        .zip(&output[first..])
        .find(|(word, got)| canary(*word) != **got)
    {
        None => Ok(results),
        Some((word, got)) => Err((
            format!("{:#010x} in word {word}, after the results", canary(word)),
            format!("{got:#010x}"),
        )),
    }
}

/// Cases of each kind. They have all eight remainders of the origin, carries out of each word, and
/// rates at which one element's decision depends on D's last bit or on its upper half.
fn cases(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in DropoutKind::ALL {
        for i in 0..24 {
            let base = match i % 3 {
                0 => random.below(1 << 61),
                // The lower word of the index overflows, or that of the block number.
                1 => (random.below(1 << 28) << 32) + (1 << 32) - 64,
                _ => (random.below(1 << 25) << 35) + (1 << 35) - 64,
            };
            let origin = base / 8 * 8 + i % 8;
            let key = MaskKey::new(random.next(), random.next());
            let index = origin + random.below(ELEMENTS);
            let uniform = u64::from(Uniforms::new(key).at(index));
            let drop_threshold = match i / 3 {
                0 => 0,
                1 => 1 << 32,
                2 => uniform,
                3 => uniform + 1,
                4 => uniform & !0xffff,
                5 => (uniform | 0xffff) + 1,
                _ => random.word().into(),
            };
            // Noise has no finite factor if everything is dropped.
            let most = (1 << 32) - u64::from(*kind == DropoutKind::Gaussian);
            let drop_threshold = drop_threshold.min(most);
            cases.push(Case {
                call: DropoutCall::new(rate(drop_threshold), key)
                    .with_kind(*kind)
                    .with_origin(origin),
                stride: random.next() >> random.between(10, 50),
                strides: core::array::from_fn(|_| random.word() >> random.below(32)),
            });
        }
    }
    cases
}
