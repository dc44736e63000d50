//! Gaussian noise on the CPU path [M18]-[M20], compared with the reference in `tests/common`.

use wgpu_dropout::cpu::keep_mask;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{
    CallError, CpuError, DropoutCall, DropoutKind, Element, MaskLayout, MaskSource, Operation,
};

use super::ways::{both_ways, refuses};
use crate::common::inputs::{
    RATES, SPECIALS, indices, kind_call, layout_indices, past_last, sample_indices, values,
};
use crate::common::kinds::Direction;
use crate::common::reference::{BF16, F16, drop_threshold, normal};

/// The largest index [M18].
const MAX: u64 = (1 << 63) - 1;

/// More elements than one task of the thread pool takes.
const LONG: u64 = 40_003;

fn noise(p: f64, origin: u64) -> DropoutCall {
    kind_call(p, origin, DropoutKind::Gaussian)
}

/// An element type that can round a number once.
trait Rounded: Element {
    fn nearest(number: f64) -> Self;
}

impl Rounded for f32 {
    fn nearest(number: f64) -> Self {
        number as f32
    }
}

impl Rounded for f16 {
    fn nearest(number: f64) -> Self {
        Self::from_bits(F16.nearest(number))
    }
}

impl Rounded for bf16 {
    fn nearest(number: f64) -> Self {
        Self::from_bits(BF16.nearest(number))
    }
}

/// Results lie in the interval of [M20], whose ends are rounded once to the type.
fn check<T: Rounded>(
    call: &DropoutCall,
    indices: &[u64],
    x: &[T],
    got: &[T],
) -> Result<(), String> {
    if x.len() != got.len() || x.len() != indices.len() {
        return Err(format!("lengths: {} and {}", x.len(), got.len()));
    }
    let p = drop_threshold(call.rate.p()) as f64 / 4_294_967_296.0;
    let sigma = f64::from((p / (1.0 - p)).sqrt() as f32);
    for ((&index, x), got) in indices.iter().zip(x).zip(got) {
        let (x, got) = (f64::from(x.to_f32()), got.to_f32());
        let exact = x * (1.0 + sigma * normal(call, index));
        let bound = x.abs() * sigma / 256.0 + exact.abs() / 8_388_608.0;
        let is_right = if exact.is_finite() {
            let [low, high] = [exact - bound, exact + bound].map(|end| T::nearest(end).to_f32());
            (low..=high).contains(&got)
        } else {
            f64::from(got) == exact || exact.is_nan() && got.is_nan()
        };
        if !is_right {
            return Err(format!(
                "index {index}: {x} became {got}, not {exact} within {bound}; {}, {call}",
                T::TYPE
            ));
        }
    }
    Ok(())
}

/// Checks both directions, with an output and in place, of a source whose elements have these
/// indices.
fn check_source<'a, T: Rounded>(
    call: &DropoutCall,
    source: impl Into<MaskSource<'a>>,
    indices: &[u64],
    x: &[T],
) -> Result<(), String> {
    let source = source.into();
    for &direction in Direction::ALL {
        for got in both_ways(direction, source, x, call)? {
            check(call, indices, x, &got)?;
        }
    }
    Ok(())
}

fn check_linear<T: Rounded>(call: &DropoutCall, x: &[T]) {
    let indices: Vec<u64> = indices(call, x.len() as u64).collect();
    check_source(call, x.len(), &indices, x).unwrap();
}

/// Numbers of the type that are neither 0 nor infinite.
fn numbers<T: Element>(len: u64) -> Vec<T> {
    let ratio = |i: u64| (i * 40_503 % 65_521 + 1) as f32 / 512.0;
    (0..len)
        .map(|i| T::from_f32(if i % 3 == 0 { -ratio(i) } else { ratio(i) }))
        .collect()
}

fn lengths_and_origins<T: Rounded>() {
    for (p, origin, len) in [
        (0.1, 0, 1000),
        (0.5, 3, LONG),
        (0.9, (1 << 34) - 5, 33),
        (0.999, 1 << 35, 100),
        (0.5, MAX - 99, 100),
        // Pairs with the largest and with the smallest v >> 9 [M19].
        (0.5, 14_121_200, 16),
        (0.5, 24_482_380, 16),
        (0.3, 1, 1),
        (0.3, u64::MAX, 0),
    ] {
        check_linear(&noise(p, origin), &numbers::<T>(len));
    }
}

#[test]
fn noise_of_every_type_is_within_its_bound() {
    lengths_and_origins::<f32>();
    lengths_and_origins::<f16>();
    lengths_and_origins::<bf16>();
    check_linear(&noise(0.4, 5), &values(LONG));
}

/// The elements include subnormals, infinities and NaNs.
#[test]
fn every_element_of_16_bits_is_within_its_bound() {
    let bits = || 0..=u16::MAX;
    for p in [0.1, 0.5, 0.9] {
        let call = noise(p, 6);
        check_linear(&call, &bits().map(f16::from_bits).collect::<Vec<_>>());
        check_linear(&call, &bits().map(bf16::from_bits).collect::<Vec<_>>());
        check_linear(&call, &SPECIALS.repeat(10));
    }
}

fn layouts_and_samples<T: Rounded>() {
    let ids = &[7, 0, u32::MAX];
    for layout in [
        MaskLayout::elementwise(&[3, 24]),
        MaskLayout::elementwise(&[3, 70]).and_then(|layout| layout.offset(9)),
        MaskLayout::feature_channels_first(&[3, 5, 7]),
        MaskLayout::time_locked_batch_first(&[3, 4, 6]),
        MaskLayout::drop_path(&[3, 33]),
        MaskLayout::elementwise(&[9, 3]).and_then(|layout| layout.permuted(&[1, 0])),
        // More elements than one task of the thread pool takes.
        MaskLayout::elementwise(&[3, 20_001]),
    ] {
        let layout = &layout.unwrap();
        let x = numbers::<T>(layout.len());
        let call = noise(0.4, 5);
        check_source(&call, layout, &layout_indices(&call, layout), &x).unwrap();
        let samples = MaskSource::Samples { layout, ids };
        let indices = sample_indices(&call, layout, ids);
        check_source(&call, samples, &indices, &x).unwrap();
    }
}

#[test]
fn noise_of_layouts_and_samples_is_that_of_their_indices() {
    layouts_and_samples::<f32>();
    layouts_and_samples::<f16>();
    layouts_and_samples::<bf16>();
}

#[test]
fn a_rate_of_zero_copies_bits() {
    fn check_type<T: Element>(x: &[T]) {
        let bytes = bytemuck::cast_slice::<T, u8>;
        for p in [0.0, 0.5 / 4_294_967_296.0] {
            for &direction in Direction::ALL {
                for got in both_ways(direction, x.len(), x, &noise(p, 5)).unwrap() {
                    assert!(bytes(x) == bytes(&got), "{direction:?}, {}", T::TYPE);
                }
            }
        }
    }
    let bits = || 0..=u16::MAX;
    check_type(&SPECIALS.repeat(10));
    check_type(&bits().map(f16::from_bits).collect::<Vec<_>>());
    check_type(&bits().map(bf16::from_bits).collect::<Vec<_>>());
}

/// Negative control: the comparison notices another call.
#[test]
fn another_call_differs() {
    fn check_type<T: Rounded>() {
        let (call, x) = (noise(0.3, 5), numbers::<T>(1000));
        let indices: Vec<u64> = (5..1005).collect();
        let others = [
            noise(0.3, 6),
            noise(0.4, 5),
            noise(0.5, 5),
            kind_call(0.3, 5, DropoutKind::Inverted),
            DropoutCall {
                key: call.key.fold_in(0).unwrap(),
                ..call
            },
        ];
        let results =
            |call: &DropoutCall| both_ways(Direction::Forward, 1000u64, &x, call).unwrap();
        let [mut got, _] = results(&call);
        check(&call, &indices, &x, &got).unwrap();
        for other in others {
            for got in results(&other) {
                check(&call, &indices, &x, &got).unwrap_err();
            }
        }
        got[500] = T::from_f32(-got[500].to_f32());
        check(&call, &indices, &x, &got).unwrap_err();
        got.pop();
        check(&call, &indices, &x, &got).unwrap_err();
    }
    check_type::<f32>();
    check_type::<f16>();
    check_type::<bf16>();
}

#[test]
fn half_of_the_indices_have_noise() {
    let rows = &MaskLayout::strided(&[2, 3], &[10, 1]).unwrap();
    let ids = &[0, 1];
    let samples = MaskSource::Samples { layout: rows, ids };
    let last_sample = 10 * u64::from(u32::MAX) + 2;
    for (source, last) in [
        (MaskSource::Len(6), 5),
        (MaskSource::Layout(rows), 12),
        (samples, last_sample),
    ] {
        for p in [0.0, 0.5] {
            let x = values(6);
            both_ways(Direction::Forward, source, &x, &noise(p, MAX - last)).unwrap();
            for origin in [MAX - last + 1, u64::MAX - last, u64::MAX] {
                let overflow = past_last(origin, last + 1, MAX);
                let error = CpuError::Call(overflow.into());
                refuses(source, 6, &noise(p, origin), &error);
            }
        }
    }
}

#[test]
fn noise_without_a_finite_variance_writes_nothing() {
    let rows = MaskLayout::elementwise(&[2, 3]).unwrap();
    for p in [1.0, 1.0 - 0.5 / 4_294_967_296.0] {
        let call = noise(p, 0);
        let error = CpuError::Call(CallError::Rate { rate: call.rate });
        refuses(6u64, 6, &call, &error);
        refuses(&rows, 6, &call, &error);
        let empty: [f32; 0] = [];
        both_ways(Direction::Forward, 0u64, &empty, &call).unwrap();
    }
}

#[test]
fn noise_has_no_mask() {
    let mask = &[!0, 1];
    let rows = &MaskLayout::elementwise(&[3, 11]).unwrap();
    let ids = &[0, 1, 2];
    let packed = MaskSource::Packed { mask, len: 33 };
    let error = |operation| {
        CpuError::Call(CallError::Kind {
            kind: DropoutKind::Gaussian,
            operation,
        })
    };
    for p in RATES {
        let call = noise(p, 0);
        refuses(packed, 33, &call, &error(Operation::PackedMask));
        for source in [
            33u64.into(),
            rows.into(),
            MaskSource::Samples { layout: rows, ids },
            packed,
        ] {
            let mut words = vec![7; mask_words(33) as usize];
            let refused = error(Operation::KeepMask);
            assert_eq!(keep_mask(source, &mut words, &call), Err(refused));
            assert_eq!(words, [7, 7]);
        }
    }
    assert_eq!(
        error(Operation::PackedMask).to_string(),
        "gaussian dropout does not go with a packed mask: use a layout"
    );
}
