//! `DropoutMask`, the mask parameters for a caller's own kernel.

use wgpu_dropout::{CallError, DropoutKind, IndexOverflow, LayoutError, MaskLayout};

use crate::common::inputs::{KEY, call, kind_call};

#[test]
fn the_words_are_the_contract_s() {
    let mask = call(0.1, 5).mask_params(1 << 33, 100).unwrap();
    let d = 429_496_730_u32;
    let words: [u32; 12] = bytemuck::cast(mask);
    let expected = [
        KEY.seed as u32,
        (KEY.seed >> 32) as u32,
        KEY.stream as u32,
        (KEY.stream >> 32) as u32,
        5,
        2,
        d >> 16,
        d & 0xffff,
    ];
    assert_eq!(words[..8], expected);
    assert_eq!(mask.keep_scale, call(0.1, 0).keep_scale());
}

#[test]
fn every_number_is_finite() {
    for kind in [
        DropoutKind::Inverted,
        DropoutKind::Classic,
        DropoutKind::Alpha,
    ] {
        let mask = kind_call(1.0, 0, kind).mask_params(0, 1).unwrap();
        assert_eq!([mask.keep_scale, mask.sigma, mask.dropped_value], [0.0; 3]);
        assert_eq!([mask.threshold_high, mask.threshold_low], [1 << 16, 0]);
    }
}

#[test]
fn the_last_index_may_be_the_largest_and_no_larger() {
    let call = call(0.5, 10);
    for (first, elements) in [(u64::MAX - 12, 3), (0, u64::MAX - 9), (u64::MAX, 0)] {
        assert!(call.mask_params(first, elements).is_ok());
    }
    for (first, elements) in [
        (u64::MAX - 12, 4),
        (0, u64::MAX - 8),
        (u64::MAX, 2),
        (5, u64::MAX),
    ] {
        let error = call.mask_params(first, elements).unwrap_err();
        let is_overflow = matches!(error, CallError::IndexOverflow(IndexOverflow::Call { .. }));
        assert!(is_overflow, "{error}");
    }
    let noise = kind_call(0.5, 0, DropoutKind::Gaussian);
    assert!(noise.mask_params((1 << 63) - 1, 1).is_ok());
    assert!(noise.mask_params(1 << 63, 1).is_err());
    let error = kind_call(1.0, 0, DropoutKind::Gaussian).mask_params(0, 1);
    assert!(matches!(error, Err(CallError::Rate { .. })));
}

#[test]
fn a_layout_gives_its_first_index_and_strides() {
    let images = MaskLayout::feature_channels_first(&[8, 16, 28, 28]).unwrap();
    let shard = images.shard(&[2, 0, 0, 0], &[3, 16, 28, 28]).unwrap();
    let mask = call(0.5, 1).mask_params_of(&shard).unwrap();
    assert_eq!([mask.first_index_low, mask.first_index_high], [33, 0]);
    assert_eq!(shard.index_strides(), Ok([16, 1, 0, 0]));

    let wide = MaskLayout::strided(&[2, 3], &[1 << 32, 1]).unwrap();
    let (dimension, stride) = (0, 1 << 32);
    let expected = LayoutError::WideStride { dimension, stride };
    assert_eq!(wide.index_strides(), Err(expected));
    let deep = MaskLayout::elementwise(&[1, 2, 3, 4, 5]).unwrap();
    let (dimensions, max) = (5, 4);
    let expected = LayoutError::TooManyDimensions { dimensions, max };
    assert_eq!(deep.index_strides(), Err(expected));
}
