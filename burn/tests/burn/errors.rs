//! Wrong calls return typed errors that name the remedy.

use burn::tensor::{DType, Device, Tensor};
use wgpu_dropout::{
    CallError, DimensionList, DropoutKind, IndexOverflow, LayoutError, MaskLayout, RateError,
};
use wgpu_dropout_burn::{DropoutError, FusedDropoutConfig, MaskPattern, TrainingRun, dropout};

use crate::Case;
use crate::oracle::{call, supports};

pub const CASES: &[Case] = &[
    ("no_probability", no_probability),
    ("too_few_dimensions", too_few_dimensions),
    ("another_length", another_length),
    ("an_index_too_large", an_index_too_large),
    ("noise_of_no_finite_variance", noise_of_no_finite_variance),
    ("elements_of_64_bits", elements_of_64_bits),
    ("a_device_twice", a_device_twice),
];

fn no_probability(_: &Device) {
    for prob in [-0.1, 1.1, f64::INFINITY] {
        let error = FusedDropoutConfig::new(prob).try_init().unwrap_err();
        assert_eq!(error, RateError::OutOfRange { p: prob });
    }
}

fn too_few_dimensions(device: &Device) {
    let layer = FusedDropoutConfig::new(0.5)
        .with_pattern(MaskPattern::FeatureChannelsFirst)
        .init();
    let error = layer.forward_with(Tensor::<1>::ones([4], device), &call(0.5));
    let expected = LayoutError::Rank {
        list: DimensionList::FeatureShape,
        expected: 2..=8,
        got: 1,
    };
    assert_eq!(error.unwrap_err(), DropoutError::Layout(expected));
}

fn another_length(device: &Device) {
    let layout = MaskLayout::linear(5);
    let error = dropout(Tensor::<1>::ones([4], device), &layout, &call(0.5)).unwrap_err();
    let expected = DropoutError::LayoutLength {
        elements: 4,
        required: 5,
    };
    assert_eq!(error, expected);
}

fn an_index_too_large(device: &Device) {
    let layout = MaskLayout::linear(4);
    for (kind, max) in [
        (DropoutKind::Inverted, u64::MAX),
        (DropoutKind::Gaussian, u64::MAX >> 1),
    ] {
        let origin = max - 2;
        let call = call(0.5).with_kind(kind).with_origin(origin);
        let error = dropout(Tensor::<1>::ones([4], device), &layout, &call);
        let overflow = IndexOverflow::Call {
            origin,
            len: 4,
            max,
        };
        let expected = DropoutError::Call(CallError::IndexOverflow(overflow));
        assert_eq!(error.unwrap_err(), expected);
    }
}

fn noise_of_no_finite_variance(device: &Device) {
    let call = call(1.0).with_kind(DropoutKind::Gaussian);
    let layout = MaskLayout::linear(4);
    let error = dropout(Tensor::<1>::ones([4], device), &layout, &call);
    let expected = DropoutError::Call(CallError::Rate { rate: call.rate });
    assert_eq!(error.unwrap_err(), expected);
}

fn elements_of_64_bits(device: &Device) {
    if supports(device, DType::F64) {
        let layout = MaskLayout::linear(4);
        let tensor = Tensor::<1>::ones([4], (device, DType::F64));
        let error = dropout(tensor, &layout, &call(0.5)).unwrap_err();
        assert_eq!(error, DropoutError::Element { dtype: DType::F64 });
    }
}

/// The device is listed a second time as a device for autodiff. It is the same device.
fn a_device_twice(device: &Device) {
    let devices = [device.clone(), device.clone().autodiff()];
    let error = TrainingRun::new(1).set_devices(&devices).unwrap_err();
    let DropoutError::SameDevice { first, second, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*first, *second), (0, 1));
    assert!(error.to_string().starts_with("devices 0 and 1 are both"));
    assert_eq!(TrainingRun::new(1).set_devices(&devices[..1]), Ok(()));
}
