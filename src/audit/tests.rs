//! The auditor is right about a right subject and names what is wrong with a wrong one.

use half::{bf16, f16};

use super::subject::{Direction, Layout, Run, Source, Subject, SubjectError};
use super::*;
use crate::{
    DropoutCall, DropoutKind, DropoutRate, Element, ElementType, MaskKey, MaskLayout, cpu,
    gaussian, mask::mask_words,
};

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// One word of one block.
    GeneratorWord,
    /// The carry into the counter's fourth word is lost.
    CounterCarry,
    /// D is one too large.
    Threshold,
    /// The factor is one unit in the last place too large.
    Scale,
    /// One bit of a packed mask.
    MaskBit,
    /// Backward's mask is another stream's.
    BackwardMask,
    /// The byte behind the last element.
    BytePastEnd,
    /// A dropped NaN stays.
    DroppedNan,
    /// In place, the last element is forgotten.
    InPlace,
    /// Strides other than 1 are taken for 1.
    Strides,
    /// Kept elements of classic dropout are one unit in the last place too large.
    Classic,
    /// Dropped elements of alpha dropout become 0.
    AlphaDropped,
    /// Kept elements of alpha dropout are not shifted.
    AlphaShift,
    /// The noise is another stream's.
    Noise,
    /// The noise's block counter does not carry out of its lower word.
    NoiseCarry,
    /// No fault: product and sum of alpha dropout are rounded once.
    AlphaFused,
    /// No fault: the noise is off by a three-hundredth of its deviation.
    NoiseRough,
    /// Noise that makes small numbers larger is spread a hundredth too wide.
    NoiseSpread,
    /// Samples have the masks of their places.
    SamplePlaces,
    /// Masks of samples have those of their places.
    SampleMask,
    /// A packed mask's words begin with their last bit.
    PackedOrder,
    /// A bf16 is cut off, not rounded.
    Rounding,
    /// The spare half of an odd number of 16-bit elements becomes 0.
    SpareHalf,
    /// Without u64, the first element is dropped.
    Halves,
    /// Without immediates, the mask is empty.
    Uniform,
    /// Of 64 elements the first is always dropped.
    KeepRate,
    /// Element i + 56 is kept with element i.
    Lag,
    /// Neighbouring seeds make one mask.
    Seed,
}

/// The CPU path in the place of a device, with a fault.
struct Faulty(Fault);

impl Faulty {
    fn call(&self, call: &DropoutCall) -> DropoutCall {
        let mut call = *call;
        match self.0 {
            Fault::Threshold if !call.rate.drops_nothing() && !call.rate.drops_all() => {
                let next = (call.rate.drop_threshold() + 1) as f64 / 4_294_967_296.0;
                call.rate = DropoutRate::new(next).unwrap();
            }
            Fault::Seed => call.key.seed &= !1,
            _ => {}
        }
        call
    }
}

impl Faulty {
    /// Elements of 16 bits.
    fn pairs<T: Element>(&self, run: &Run, call: &DropoutCall) -> Vec<u32> {
        let (input, output) = run.starts();
        let x = &bytemuck::cast_slice::<_, T>(&run.image[input..])[..run.len];
        let mut y = vec![T::zeroed(); run.len];
        cpu::forward(x, &mut y, call).unwrap();
        if self.0 == Fault::Rounding && T::TYPE == ElementType::Bf16 {
            let x: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
            let mut wide = vec![0.0; run.len];
            cpu::forward(&x, &mut wide, call).unwrap();
            for (y, wide) in y.iter_mut().zip(wide) {
                *y = bytemuck::cast((wide.to_bits() >> 16) as u16);
            }
        }
        let mut image = run.image.clone();
        bytemuck::cast_slice_mut(&mut image[output..])[..run.len].copy_from_slice(&y);
        if self.0 == Fault::SpareHalf && run.len % 2 == 1 {
            image[output + run.words() - 1] &= 0xffff;
        }
        image
    }
}

impl Subject for Faulty {
    fn features(&self) -> wgpu::Features {
        wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES
    }

    async fn blocks(
        &self,
        rounds: u32,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
    ) -> Result<Vec<[u32; 4]>, SubjectError> {
        let mut blocks = vec![[0; 4]; len as usize];
        cpu::philox_blocks(&mut blocks, counter, key, rounds).unwrap();
        match self.0 {
            Fault::GeneratorWord => blocks[0][2] ^= 1 << 17,
            Fault::CounterCarry => {
                for (i, block) in blocks.iter_mut().enumerate() {
                    let mut own = crate::advance_counter(counter, i as u64);
                    own[3] = counter[3];
                    cpu::philox_blocks(core::slice::from_mut(block), own, key, rounds).unwrap();
                }
            }
            _ => {}
        }
        Ok(blocks)
    }

    async fn mask(
        &self,
        avoid: wgpu::Features,
        layout: &MaskLayout,
        ids: Option<&[u32]>,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, SubjectError> {
        let len = layout.len();
        let mut mask = vec![0; mask_words(len) as usize];
        let call = self.call(call);
        match ids {
            Some(ids) if self.0 != Fault::SampleMask => {
                cpu::keep_mask_samples(&mut mask, layout, ids, &call)
            }
            _ if layout.strides() == [1] => cpu::keep_mask(&mut mask, len, &call),
            _ => cpu::keep_mask_layout(&mut mask, layout, &call),
        }
        .unwrap();
        match self.0 {
            Fault::MaskBit => mask[0] ^= 1,
            Fault::Uniform if avoid.contains(wgpu::Features::IMMEDIATES) => mask.fill(0),
            Fault::KeepRate if len > 1 << 20 => {
                mask.iter_mut().step_by(2).for_each(|word| *word &= !1);
            }
            Fault::Lag if len > 1 << 20 => {
                for i in (2..mask.len()).step_by(2) {
                    mask[i] = mask[i - 2] >> 8 | mask[i - 1] << 24;
                }
            }
            _ => {}
        }
        Ok(mask)
    }

    async fn dropout(&self, run: &Run) -> Result<Vec<u32>, SubjectError> {
        let mut call = self.call(&run.call);
        if self.0 == Fault::BackwardMask && run.direction == Direction::Backward {
            call.key = MaskKey::new(call.key.seed, !call.key.stream);
        }
        match run.element {
            ElementType::F16 => return Ok(self.pairs::<f16>(run, &call)),
            ElementType::Bf16 => return Ok(self.pairs::<bf16>(run, &call)),
            ElementType::F32 => {}
        }
        let mut image = run.image.clone();
        let (input, output) = run.starts();
        let x: Vec<f32> = image[input..input + run.len]
            .iter()
            .map(|&x| f32::from_bits(x))
            .collect();
        let mut y = vec![0.0; run.len];
        let backward = run.direction == Direction::Backward;
        match &run.source {
            Source::Layout(layout) if layout.strides() == [1] || self.0 == Fault::Strides => {
                if backward {
                    cpu::backward(&x, &mut y, &call)
                } else {
                    cpu::forward(&x, &mut y, &call)
                }
            }
            Source::Layout(layout) => cpu::forward_layout(&x, &mut y, layout, &call),
            Source::Samples(layout, _) if self.0 == Fault::SamplePlaces => {
                cpu::forward_layout(&x, &mut y, layout, &call)
            }
            Source::Samples(layout, ids) => cpu::forward_samples(&x, &mut y, layout, ids, &call),
            Source::Packed(mask) if self.0 == Fault::PackedOrder => {
                let mask: Vec<u32> = mask.iter().map(|word| word.reverse_bits()).collect();
                cpu::forward_packed(&x, &mut y, &mask, &call)
            }
            Source::Packed(mask) => cpu::forward_packed(&x, &mut y, mask, &call),
        }
        .unwrap();
        let rate = call.rate;
        let alpha = rate.kind() == DropoutKind::Alpha && !backward;
        for (y, x) in y.iter_mut().zip(&x).filter(|_| alpha) {
            let is_kept = *y != rate.dropped_value();
            match self.0 {
                Fault::AlphaDropped if !is_kept => *y = 0.0,
                Fault::AlphaShift if is_kept => *y -= rate.keep_shift(),
                Fault::AlphaFused if is_kept => {
                    *y = x.mul_add(rate.keep_scale(), rate.keep_shift());
                }
                _ => {}
            }
        }
        let mut y: Vec<u32> = y.into_iter().map(f32::to_bits).collect();
        match self.0 {
            Fault::Scale if !call.rate.drops_nothing() => {
                y.iter_mut().filter(|y| **y != 0).for_each(|y| *y += 1);
            }
            Fault::Classic
                if rate.kind() == DropoutKind::Classic && !rate.drops_nothing() && !backward =>
            {
                y.iter_mut().filter(|y| **y != 0).for_each(|y| *y += 1);
            }
            Fault::DroppedNan => {
                for (y, x) in y.iter_mut().zip(x).filter(|(y, x)| **y == 0 && x.is_nan()) {
                    *y = x.to_bits();
                }
            }
            Fault::InPlace if run.layout == Layout::InPlace => {
                y[run.len - 1] = x[run.len - 1].to_bits();
            }
            Fault::Halves if run.avoid.contains(wgpu::Features::SHADER_INT64) => y[0] = 0,
            _ => {}
        }
        image[output..output + run.len].copy_from_slice(&y);
        if self.0 == Fault::BytePastEnd {
            image[output + run.len] ^= 0xff;
        }
        Ok(image)
    }

    async fn gaussian(&self, input: &[f32], call: &DropoutCall) -> Result<Vec<f32>, SubjectError> {
        let sigma = gaussian::check(call, input.len() as u64).unwrap();
        let mut call = *call;
        if self.0 == Fault::Noise {
            call.key.stream ^= 1;
        }
        let mut output = vec![0.0; input.len()];
        cpu::gaussian(input, &mut output, &call).unwrap();
        if self.0 == Fault::NoiseCarry {
            let high = |index| gaussian::position(index).block >> 32;
            let indices = call.origin..call.origin + input.len() as u64;
            let wrapped = indices
                .take_while(|&i| high(i) == high(call.origin))
                .count();
            // Elements of 2^32 blocks before.
            call.origin = (call.origin + wrapped as u64).wrapping_sub(1 << 34);
            if wrapped < input.len() {
                cpu::gaussian(&input[wrapped..], &mut output[wrapped..], &call).unwrap();
            }
        }
        for (y, x) in output.iter_mut().zip(input) {
            match self.0 {
                Fault::NoiseRough => *y += x * sigma / 300.0,
                Fault::NoiseSpread if (x.abs()..1000.0).contains(&y.abs()) => {
                    *y = x + 1.01 * (*y - x);
                }
                _ => {}
            }
        }
        Ok(output)
    }
}

fn failures(fault: Fault) -> Vec<&'static str> {
    let report = pollster::block_on(run(&Faulty(fault), |_| {}));
    assert_eq!(report.checks.len(), CHECKS.len());
    let failed = |check: &&Check| matches!(check.outcome, Outcome::Failed { .. });
    let failures: Vec<_> = report
        .checks
        .iter()
        .filter(failed)
        .map(|check| check.name)
        .collect();
    assert_eq!(report.passed(), failures.is_empty());
    failures
}

#[test]
fn inputs_are_normal_and_unlike_their_neighbours() {
    for neighbours in exact::values(5000).windows(9) {
        assert!(f32::from_bits(neighbours[0]).is_normal());
        assert!(!neighbours[1..].contains(&neighbours[0]));
    }
}

/// What is looked at, with the figures that every right device has.
const RIGHT: &str = "\
passed  known answers: 33 vectors
passed  contract vectors: 52 masks
passed  counter carry: 5 blocks, 28 masks
passed  gpu = cpu: 1966748 elements in 280 runs
passed  one mask: 56 masks, three times each
passed  untouched bytes: 895662 words
passed  special values: 10 values at 4 rates
passed  in place: 200 runs
passed  layouts: 8 layouts
passed  kinds: 128 runs
passed  gaussian: 49596 elements in 36 runs
passed  sample ids: 6 layouts of 5 ids
passed  packed masks: 60 runs
passed  types: 80 runs
passed  multiply: 56 runs, 56 masks
passed  parameters: 56 runs, 56 masks
passed  keep rate: z = -1.54, -0.23, +0.72 over 16777216 elements each, bound 5.2
passed  correlation: largest of 70 |z| = 2.96 over 16777216 elements each, bound 5.2
passed  mask hash: a086d68c9cf1f04c";

#[test]
fn a_right_subject_passes_with_the_same_figures() {
    let report = pollster::block_on(run(&Faulty(Fault::None), |_| {}));
    assert_eq!(report.to_string(), RIGHT);
    assert!(report.passed());
}

#[test]
fn a_wrong_or_missing_mask_hash_is_a_failure() {
    for mask_hash in [None, Some(MASK_HASH ^ 1)] {
        let report = AuditReport {
            checks: Vec::new(),
            mask_hash,
        };
        assert!(!report.passed());
        assert!(report.to_string().starts_with("FAILED  mask hash"));
    }
}

/// By every check that looks where it is, and by no other.
#[test]
fn each_fault_is_named() {
    for (fault, checks) in [
        (
            Fault::GeneratorWord,
            &["known answers", "counter carry"][..],
        ),
        (Fault::CounterCarry, &["counter carry"]),
        (Fault::Threshold, &["gpu = cpu", "kinds"]),
        (
            Fault::Scale,
            &[
                "gpu = cpu",
                "special values",
                "layouts",
                "kinds",
                "sample ids",
                "packed masks",
            ],
        ),
        (
            Fault::MaskBit,
            &[
                "contract vectors",
                "counter carry",
                "one mask",
                "layouts",
                "sample ids",
            ],
        ),
        (
            Fault::BackwardMask,
            &["one mask", "layouts", "kinds", "types"],
        ),
        (Fault::BytePastEnd, &["untouched bytes"]),
        (Fault::DroppedNan, &["special values"]),
        (
            Fault::InPlace,
            &["special values", "in place", "kinds", "packed masks"],
        ),
        (Fault::Strides, &["layouts"]),
        (Fault::Classic, &["kinds"]),
        (Fault::AlphaDropped, &["kinds"]),
        (Fault::AlphaShift, &["kinds"]),
        (Fault::Noise, &["gaussian"]),
        (Fault::NoiseCarry, &["gaussian"]),
        (Fault::NoiseSpread, &["gaussian"]),
        (Fault::SamplePlaces, &["sample ids"]),
        (Fault::SampleMask, &["sample ids"]),
        (Fault::PackedOrder, &["packed masks"]),
        (Fault::Rounding, &["types"]),
        (Fault::SpareHalf, &["types"]),
        (Fault::Halves, &["multiply"]),
        (Fault::Uniform, &["parameters"]),
        (Fault::KeepRate, &["keep rate", "correlation"]),
        (Fault::Lag, &["correlation"]),
        (Fault::Seed, &["contract vectors", "correlation"]),
    ] {
        assert_eq!(failures(fault), checks, "{fault:?}");
    }
}

#[test]
fn what_the_contract_allows_passes() {
    for allowed in [Fault::AlphaFused, Fault::NoiseRough] {
        assert_eq!(failures(allowed), [""; 0], "{allowed:?}");
    }
}

#[test]
fn the_built_in_vectors_are_all_there() {
    assert_eq!(vectors::philox().unwrap().len(), 33);
    assert_eq!(vectors::masks().unwrap().len(), 52);
}
