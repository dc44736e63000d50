//! Sample ids [M16] and packed masks [M15] on the CPU path.

use wgpu_dropout::cpu::{apply, keep_mask};
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{
    CallError, CpuError, DropoutCall, IndexOverflow, MaskLayout, MaskSource, SourceError,
};

use super::ways::{CANARY, both_ways, mask_length, mismatch, refuses};
use crate::common::compare;
use crate::common::inputs::{
    KINDS, RATES, SPECIALS, call, check_mask_of, kind_call, past_last, random_mask, sample_indices,
    values,
};
use crate::common::kinds::{self, Direction, unpacked};
use crate::common::layers::BATCHES;

const IDS: [u32; 5] = [0, 3, u32::MAX, 1 << 20, 3];

/// Checks both directions, with an output and in place, and the keep mask of the samples.
fn check_samples(call: &DropoutCall, layout: &MaskLayout, ids: &[u32]) -> Result<(), String> {
    let indices = sample_indices(call, layout, ids);
    let kept = kinds::kept(call, indices.iter().copied());
    let x = values(layout.len());
    let samples = MaskSource::Samples { layout, ids };
    for &direction in Direction::ALL {
        for got in both_ways(direction, samples, &x, call)? {
            kinds::check(call, direction, &kept, &x, &got)?;
        }
    }
    let mut mask = vec![0x5555_5555; mask_words(layout.len()) as usize];
    keep_mask(samples, &mut mask, call).map_err(|error| error.to_string())?;
    check_mask_of(call, indices, &mask)
}

#[test]
fn samples_have_their_ids_masks() {
    for layout in [
        MaskLayout::elementwise(&[5, 24]),
        MaskLayout::elementwise(&[5]),
        MaskLayout::drop_path(&[5, 33]),
        MaskLayout::feature_channels_first(&[5, 3, 7]),
        MaskLayout::time_locked_batch_first(&[5, 4, 6]).and_then(|layout| layout.offset(9)),
        // More elements than one task of the thread pool takes.
        MaskLayout::elementwise(&[5, 20_001]),
    ] {
        let layout = layout.unwrap();
        for p in RATES {
            for kind in KINDS {
                check_samples(&kind_call(p, 5, kind), &layout, &IDS).unwrap();
            }
        }
    }
    let scalar = MaskLayout::elementwise(&[]).unwrap();
    check_samples(&call(0.5, 5), &scalar, &[7]).unwrap();
    let empty = MaskLayout::elementwise(&[0, 3]).unwrap();
    check_samples(&call(0.5, u64::MAX), &empty, &[]).unwrap();
}

#[test]
fn a_batch_of_one_has_the_masks_of_many() {
    let call = call(0.5, 3);
    for (name, batch) in BATCHES {
        let mask = |ids: &[u32]| {
            let layout = batch(ids.len() as u64).unwrap();
            let mut mask = vec![0; mask_words(layout.len()) as usize];
            let layout = &layout;
            keep_mask(MaskSource::Samples { layout, ids }, &mut mask, &call).unwrap();
            unpacked(&mask, layout.len() as usize)
        };
        let (one, other) = (mask(&[5]), mask(&[u32::MAX]));
        assert_eq!(mask(&[5, u32::MAX]), [&one[..], &other].concat(), "{name}");
        assert_eq!(one == other, name.ends_with("shared"), "{name}");
    }
}

#[test]
fn ids_that_do_not_fit_write_nothing() {
    let layout = MaskLayout::elementwise(&[2, 3]).unwrap();
    let wide = MaskLayout::strided(&[2, 3], &[1 << 32, 1])
        .and_then(|layout| layout.offset(1 << 32))
        .unwrap();
    let ids = |ids| CpuError::Source(SourceError::SampleIds { ids, samples: 2 });
    let overflow = past_last(u64::MAX, 3 * u64::from(u32::MAX) + 3, u64::MAX);
    let overflow = CpuError::Call(overflow.into());
    let stride = CpuError::Call(CallError::IndexOverflow(IndexOverflow::Samples {
        stride: 1 << 32,
        last_index: (1 << 32) + 2,
    }));
    assert_eq!(
        ids(3).to_string(),
        "there are 3 sample ids for 2 samples: give one for each"
    );
    for (layout, given, origin, error) in [
        (&layout, 1, 0, ids(1)),
        (&layout, 3, 0, ids(3)),
        (&layout, 2, u64::MAX, overflow),
        (&wide, 2, 0, stride),
    ] {
        let (ids, call) = (&[0, 1, 2][..given], call(0.5, origin));
        let samples = MaskSource::Samples { layout, ids };
        refuses(samples, 6, &call, &error);
        let mut mask = [7];
        assert_eq!(keep_mask(samples, &mut mask, &call), Err(error));
        assert_eq!(mask, [7]);
    }
}

/// Negative control: the comparison notices other ids.
#[test]
fn another_id_differs() {
    let (layout, call) = (MaskLayout::elementwise(&[5, 24]).unwrap(), call(0.5, 0));
    let x = values(layout.len());
    let samples = MaskSource::Samples {
        layout: &layout,
        ids: &IDS,
    };
    let [y, _] = both_ways(Direction::Forward, samples, &x, &call).unwrap();
    for place in 0..IDS.len() {
        let mut ids = IDS;
        ids[place] = ids[place].wrapping_add(1);
        let kept = kinds::kept(&call, sample_indices(&call, &layout, &ids));
        kinds::check(&call, Direction::Forward, &kept, &x, &y).unwrap_err();
    }
}

#[test]
fn a_packed_mask_decides_alone() {
    for len in [0, 1, 31, 32, 33, 1000, 100_003] {
        let (x, mask) = (values(len), random_mask(len));
        let kept = unpacked(&mask, x.len());
        let packed = MaskSource::Packed {
            mask: &mask,
            len: x.len() as u64,
        };
        for p in RATES.into_iter().filter(|&p| p > 0.0 && p < 1.0) {
            for kind in KINDS {
                // A packed mask ignores key and origin.
                let call = kind_call(p, 5, kind).with_origin(u64::MAX);
                for &direction in Direction::ALL {
                    for got in both_ways(direction, packed, &x, &call).unwrap() {
                        kinds::check(&call, direction, &kept, &x, &got).unwrap();
                    }
                }
            }
        }
    }
}

/// At rate 0, kept elements keep their bits and dropped ones are +0. At rate 1, kept elements are
/// multiplied by 0.
#[test]
fn packed_masks_at_the_ends_of_the_rate() {
    let x = SPECIALS.repeat(10);
    let mask = random_mask(x.len() as u64);
    let kept = unpacked(&mask, x.len());
    let select = |value: fn(f32) -> f32| -> Vec<f32> {
        let one = |(&x, &kept): (&f32, &bool)| if kept { value(x) } else { 0.0 };
        x.iter().zip(&kept).map(one).collect()
    };
    let packed = MaskSource::Packed {
        mask: &mask,
        len: x.len() as u64,
    };
    let dropout = |call| both_ways(Direction::Forward, packed, &x, &call).unwrap();
    for kind in KINDS {
        for y in dropout(kind_call(0.0, 5, kind)) {
            compare::f32_copies(&select(|x| x), &y).unwrap();
        }
    }
    for y in dropout(call(1.0, 0)) {
        compare::f32_bits(&select(|x| x * 0.0), &y).unwrap();
    }
}

#[test]
fn packed_masks_of_another_length_write_nothing() {
    let call = call(0.5, 0);
    let (ones, len) = ([!0; 2], 33);
    let packed = MaskSource::Packed { mask: &ones, len };
    let (x, mut y) = (values(33), [CANARY; 32]);
    let mismatch = mismatch(33, 32);
    for &direction in Direction::ALL {
        let got = apply(direction, packed, (&x[..], &mut y[..]), &call);
        assert_eq!(got.as_ref(), Err(&mismatch));
    }
    assert_eq!(y, [CANARY; 32]);
    let source_length = CpuError::Source(SourceError::Length {
        elements: 32,
        required: 33,
    });
    refuses(packed, 32, &call, &source_length);
    for (len, words, required) in [(33, 1, 2), (32, 2, 1), (0, 1, 0), (1, 0, 1)] {
        let mask = &ones[..words];
        let packed = MaskSource::Packed { mask, len };
        let error = CpuError::Source(mask_length(words, required, len));
        refuses(packed, len as usize, &call, &error);
        let mut exported = vec![7; required as usize];
        assert_eq!(keep_mask(packed, &mut exported, &call), Err(error));
        assert_eq!(exported, vec![7; required as usize]);
    }
}

#[test]
fn the_mask_of_a_packed_mask_is_itself_without_its_spare_bits() {
    let packed = [0xDEAD_BEEF, 0xFFFF_FFFD];
    for (len, expected) in [
        (64, &packed[..]),
        (33, &[0xDEAD_BEEF, 1]),
        (32, &[0xDEAD_BEEF]),
        (5, &[0xF]),
        (0, &[]),
    ] {
        let mask = &packed[..expected.len()];
        for p in RATES {
            let mut exported = vec![7; mask.len()];
            let source = MaskSource::Packed { mask, len };
            keep_mask(source, &mut exported, &call(p, u64::MAX)).unwrap();
            assert_eq!(exported, expected, "{len} elements");
        }
    }
}
