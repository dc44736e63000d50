//! Each layer's layout gives, on the CPU path, the decisions of the layer's own definition.

use proptest::prelude::*;
use wgpu_dropout::cpu::{apply, keep_mask};
use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{CpuError, DropoutCall, IndexOverflow, MaskLayout, SourceError};

use super::ways::{CANARY, both_ways, mask_length, refuses};
use crate::common::inputs::{KINDS, RATES, call, kind_call, layout_indices, values};
use crate::common::kinds::{self, Direction};
use crate::common::layers::layers;
use crate::common::random_layouts::random_layout;
use crate::common::{compare, reference, vectors};

/// Checks both directions, with an output and in place, and the keep mask against these decisions.
fn check(call: &DropoutCall, layout: &MaskLayout, kept: &[bool]) -> Result<(), String> {
    let x = values(layout.len());
    for &direction in Direction::ALL {
        for got in both_ways(direction, layout, &x, call)? {
            kinds::check(call, direction, kept, &x, &got)?;
        }
    }

    let mut mask = vec![0x5555_5555; mask_words(layout.len()) as usize];
    keep_mask(layout, &mut mask, call).map_err(|error| error.to_string())?;
    let mut expected = vec![0; mask.len()];
    for (element, &kept) in kept.iter().enumerate() {
        expected[element / 32] |= u32::from(kept) << (element % 32);
    }
    compare::packed_masks(&expected, &mask)
}

#[test]
fn definitions() {
    for layer in layers() {
        for origin in [0, 3] {
            let call = call(0.3, origin);
            check(&call, &layer.layout, &layer.kept(&call))
                .unwrap_or_else(|difference| panic!("{}: {difference}", layer.name));
        }
    }
}

#[test]
fn contract_vectors() {
    vectors::check_masks(|vector| {
        let layout = MaskLayout::strided(&vector.shape, &vector.strides).unwrap();
        let key = wgpu_dropout::MaskKey::new(vector.seed, vector.stream);
        let call = DropoutCall {
            key,
            ..call(vector.p, vector.origin)
        };
        let mut mask = vec![0x5555_5555; mask_words(layout.len()) as usize];
        keep_mask(&layout, &mut mask, &call).unwrap();
        mask
    })
    .unwrap();
}

/// Every rate and kind, also for a layout longer than one task of the thread pool.
#[test]
fn rates_and_kinds() {
    let layouts = [
        MaskLayout::time_locked_batch_first(&[7, 3, 5000]).unwrap(),
        MaskLayout::drop_path(&[11, 9001]).unwrap(),
        MaskLayout::elementwise(&[3, 70])
            .unwrap()
            .permuted(&[1, 0])
            .unwrap(),
    ];
    for layout in layouts {
        for p in RATES {
            for kind in KINDS {
                let call = kind_call(p, 5, kind);
                let kept = kinds::kept(&call, layout_indices(&call, &layout));
                check(&call, &layout, &kept).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_shard_is_its_slice_of_the_whole(random in random_layout(), origin in any::<u64>()) {
        let call = call(0.4, origin.min(u64::MAX - (1 << 32)));
        for (element, &index) in (0..).zip(&random.indices) {
            prop_assert_eq!(random.layout.index(element), index);
        }
        prop_assert_eq!(random.layout.last_index(), random.indices.iter().max().copied());
        let kept = kinds::kept(&call, random.indices.iter().map(|index| call.origin + index));
        check(&call, &random.layout, &kept).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_strides(
        dimensions in prop::collection::vec((0_u64..4, any::<u64>(), 0_u32..64), 0..=8),
        first_index in any::<u64>(),
    ) {
        let shape: Vec<u64> = dimensions.iter().map(|(size, ..)| *size).collect();
        let strides: Vec<u64> = dimensions.iter().map(|(_, bits, shift)| bits >> shift).collect();
        let reach = dimensions.iter().zip(&strides).map(|((size, ..), stride)| {
            u128::from(size.saturating_sub(1)) * u128::from(*stride)
        });
        let last = u128::from(first_index) + reach.sum::<u128>();
        let layout = MaskLayout::strided(&shape, &strides).and_then(|l| l.offset(first_index));
        if shape.contains(&0) || last <= u128::from(u64::MAX) {
            let layout = layout.unwrap();
            let indices = reference::indices(&shape, &strides, first_index);
            let got: Vec<u64> = (0..layout.len()).map(|element| layout.index(element)).collect();
            prop_assert_eq!(got, indices);
        } else {
            prop_assert!(layout.is_err());
        }
    }
}

#[test]
fn slices_of_another_length_write_nothing() {
    let layout = MaskLayout::elementwise(&[2, 3]).unwrap();
    let call = call(0.5, 0);
    for (input, output) in [(6, 5), (5, 6)] {
        let (x, mut y) = (values(input as u64), vec![CANARY; output]);
        for &direction in Direction::ALL {
            let expected = Err(CpuError::LengthMismatch { input, output });
            assert_eq!(apply(direction, &layout, (&x, &mut y), &call), expected);
        }
        assert_eq!(y, vec![CANARY; output]);
    }
    for elements in [0, 5, 7] {
        let required = 6;
        let error = CpuError::Source(SourceError::Length { elements, required });
        refuses(&layout, elements, &call, &error);
    }
    for words in [0, 2] {
        let mut mask = vec![7; words];
        let error = CpuError::Source(mask_length(words, 1, 6));
        assert_eq!(keep_mask(&layout, &mut mask, &call), Err(error));
        assert_eq!(mask, vec![7; words]);
    }
}

#[test]
fn indices_past_the_last_write_nothing() {
    let strided = |stride| MaskLayout::strided(&[2, 3], &[stride, 1]).unwrap();
    let layouts = [
        (strided(10), u64::MAX - 12, 13),
        // Each of these layouts uses the last index, so only origin 0 fits.
        (strided(u64::MAX - 2), 0, u64::MAX),
        (strided(10).offset(u64::MAX - 12).unwrap(), 0, u64::MAX),
    ];
    for (layout, last_origin, len) in layouts {
        let kept = |call| kinds::kept(call, layout_indices(call, &layout));
        let good = call(0.5, last_origin);
        check(&good, &layout, &kept(&good)).unwrap();
        for p in RATES {
            let origin = last_origin + 1;
            let call = call(p, origin);
            let max = u64::MAX;
            let error = CpuError::Call(IndexOverflow::Call { origin, len, max }.into());
            refuses(&layout, 6, &call, &error);
            let mut mask = [7];
            assert_eq!(keep_mask(&layout, &mut mask, &call), Err(error));
            assert_eq!(mask, [7]);
        }
    }
}

#[test]
fn nothing_has_no_index_to_overflow() {
    let layout = MaskLayout::elementwise(&[2, 0, 3])
        .unwrap()
        .offset(7)
        .unwrap();
    check(&call(0.5, u64::MAX), &layout, &[]).unwrap();
}
