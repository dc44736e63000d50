//! Each pattern has the library's layout, forward and backward.

use burn::tensor::Device;
use wgpu_dropout::MaskLayout;
use wgpu_dropout_burn::{FusedDropoutConfig, MaskPattern, dropout};

use crate::Case;
use crate::oracle::{assert_bits, backward, call, forward, tensor, values};

pub const CASES: &[Case] = &[
    ("all", all),
    ("any_strides", any_strides),
    (
        "elements_of_any_number_of_dimensions",
        elements_of_any_number_of_dimensions,
    ),
];

const PATTERNS: [MaskPattern; 6] = [
    MaskPattern::Elementwise,
    MaskPattern::FeatureChannelsFirst,
    MaskPattern::FeatureChannelsLast,
    MaskPattern::TimeLockedBatchFirst,
    MaskPattern::TimeLockedTimeFirst,
    MaskPattern::DropPath,
];

fn all(device: &Device) {
    for pattern in PATTERNS {
        check(&pattern, [3, 5, 7], device);
        check(&pattern, [4, 16, 64], device);
        check(&pattern, [2, 3, 33, 40], device);
        check(&pattern, [9, 8], device);
    }
    let noise = MaskPattern::NoiseShape(vec![Some(4), Some(1), None]);
    check(&noise, [4, 16, 64], device);
    check(&noise, [2, 4, 16, 64], device);
}

/// Rows that begin in any lane, rows and runs shorter than a block, strides above 2^32, a shard.
fn any_strides(device: &Device) {
    let shard = MaskLayout::elementwise(&[9, 50]).unwrap();
    let shard = shard.shard(&[2, 3], &[5, 41]).unwrap();
    for layout in [
        MaskLayout::strided(&[5, 7, 33], &[40, 0, 1]).unwrap(),
        MaskLayout::strided(&[50, 3], &[5, 1]).unwrap(),
        MaskLayout::strided(&[50, 3], &[1, 0]).unwrap(),
        MaskLayout::strided(&[9, 40], &[1 << 40, 1]).unwrap(),
        MaskLayout::strided(&[40, 9], &[1, 1 << 33]).unwrap(),
        shard,
    ] {
        let len = layout.len() as usize;
        let input = values::<f32>(len);
        let call = call(0.5).with_origin(5);
        let output = dropout(tensor(&input, [len], device), &layout, &call).unwrap();
        assert_bits(output, &forward(&input, &layout, &call));
    }
}

/// More dimensions than a layout or a tensor of CubeCL may have.
fn elements_of_any_number_of_dimensions(device: &Device) {
    if *device != Device::flex() {
        return;
    }
    let shape = [2, 1, 3, 1, 2, 1, 2, 1, 5];
    let (input, layout) = (values::<f32>(120), MaskLayout::linear(120));
    let layer = FusedDropoutConfig::new(0.5).init();
    let output = layer.forward_with(tensor(&input, shape, device), &call(0.5));
    assert_bits(output.unwrap(), &forward(&input, &layout, &call(0.5)));
}

fn check<const D: usize>(pattern: &MaskPattern, shape: [usize; D], device: &Device) {
    let device = &device.clone().autodiff();
    let sizes = shape.map(|size| size as u64);
    let layout = match pattern {
        MaskPattern::Elementwise => MaskLayout::elementwise(&sizes),
        MaskPattern::FeatureChannelsFirst => MaskLayout::feature_channels_first(&sizes),
        MaskPattern::FeatureChannelsLast => MaskLayout::feature_channels_last(&sizes),
        MaskPattern::TimeLockedBatchFirst => MaskLayout::time_locked_batch_first(&sizes),
        MaskPattern::TimeLockedTimeFirst => MaskLayout::time_locked_time_first(&sizes),
        MaskPattern::DropPath => MaskLayout::drop_path(&sizes),
        MaskPattern::NoiseShape(noise) => MaskLayout::noise_shape(&sizes, noise),
        other => panic!("{other:?} has no case"),
    };
    let layout = layout.unwrap();
    let layer = FusedDropoutConfig::new(0.5)
        .with_pattern(pattern.clone())
        .init();
    let len = shape.iter().product();
    let (input, weights) = (values::<f32>(len), values::<f32>(len + 1));
    let x = tensor(&input, shape, device).require_grad();
    let output = layer.forward_with(x.clone(), &call(0.5)).unwrap();
    let weighted = output.clone() * tensor(&weights[1..], shape, device);
    let gradients = weighted.backward();
    assert_bits(output, &forward(&input, &layout, &call(0.5)));
    let expected = backward(&weights[1..], &layout, &call(0.5));
    assert_bits(x.grad(&gradients).unwrap(), &expected);
}
