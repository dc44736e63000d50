//! The layer behaves as Burn's own, but for what it promises beyond.

use burn::config::Config;
use burn::module::Module;
use burn::nn::DropoutConfig;
use burn::tensor::{Device, Tensor};
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, MaskLayout};
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, MaskPattern, TrainingRun};

use crate::Case;
use crate::oracle::{assert_bits, forward, tensor, values};

pub const CASES: &[Case] = &[
    ("drops_in_training_alone", drops_in_training_alone),
    (
        "seed_layer_and_step_are_the_mask",
        seed_layer_and_step_are_the_mask,
    ),
    ("a_step_is_one_mask", a_step_is_one_mask),
    ("any_call_on_any_device", any_call_on_any_device),
    ("shards_have_the_whole_mask", shards_have_the_whole_mask),
    ("a_record_changes_no_mask", a_record_changes_no_mask),
    ("text_and_configuration", text_and_configuration),
];

fn layer(prob: f64, run: &TrainingRun) -> FusedDropout {
    FusedDropoutConfig::new(prob, 5).init(run)
}

fn data(output: Tensor<1>) -> Vec<f32> {
    output.into_data().try_to_vec().unwrap()
}

fn drops_in_training_alone(device: &Device) {
    let run = TrainingRun::new(1);
    let training = device.clone().autodiff();
    let ones = |device: &Device| Tensor::<1>::ones([1000], device);
    let is_whole = |output| data(output).iter().all(|&x| x == 1.0);
    assert!(!is_whole(layer(0.5, &run).forward(ones(&training))));
    assert!(is_whole(layer(0.5, &run).forward(ones(device))));
    assert!(is_whole(layer(0.0, &run).forward(ones(&training))));
    let frozen = layer(0.5, &run).freeze();
    assert!(is_whole(frozen.clone().forward(ones(&training))));
    assert!(is_whole(
        frozen.clone().valid().train().forward(ones(&training))
    ));
    assert!(!is_whole(frozen.unfreeze().forward(ones(&training))));
    // Burn's own refuses this rate.
    let all = layer(1.0, &run).forward(ones(&training));
    assert_bits(all, &[0.0f32; 1000]);
}

fn seed_layer_and_step_are_the_mask(device: &Device) {
    let device = &device.clone().autodiff();
    let input = values::<f32>(1000);
    let layout = MaskLayout::linear(1000);
    let run = TrainingRun::new(9);
    let layer = layer(0.25, &run);
    for step in [0, 1, 77] {
        run.set_step(step);
        let key = MaskKey::layer_step(9, 5, step);
        let call = DropoutCall::new(DropoutRate::new(0.25).unwrap(), key);
        assert_eq!(layer.call(), Ok(call));
        let output = layer.forward(tensor(&input, [1000], device));
        assert_bits(output, &forward(&input, &layout, &call));
    }
}

fn a_step_is_one_mask(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(1);
    let layer = layer(0.5, &run);
    let clone = layer.clone();
    let mask = |layer: &FusedDropout| data(layer.forward(Tensor::ones([1000], device)));
    let first = mask(&layer);
    assert_eq!(mask(&layer), first);
    assert_eq!(mask(&clone), first);
    run.set_step(1);
    assert_ne!(mask(&layer), first);
    assert_eq!(mask(&clone), mask(&layer));
    let other = FusedDropoutConfig::new(0.5, 6).init(&run);
    assert_ne!(mask(&other), mask(&layer));
}

/// Monte-Carlo dropout: a member a stream, at inference.
fn any_call_on_any_device(device: &Device) {
    let layer = layer(0.5, &TrainingRun::new(1));
    let input = values::<f32>(1000);
    for member in 0..3 {
        let rate = DropoutRate::new(0.5).unwrap();
        let call = DropoutCall::new(rate, MaskKey::new(7, member));
        let output = layer.forward_with(tensor(&input, [1000], device), &call);
        let expected = forward(&input, &MaskLayout::linear(1000), &call);
        assert_bits(output.unwrap(), &expected);
    }
}

fn shards_have_the_whole_mask(device: &Device) {
    let layer = layer(0.5, &TrainingRun::new(1));
    let call = layer.call().unwrap();
    let whole = layer.forward_with(Tensor::<1>::ones([1000], device), &call);
    let part = |start: usize, len| {
        let call = call.with_origin(start as u64);
        data(
            layer
                .forward_with(Tensor::ones([len], device), &call)
                .unwrap(),
        )
    };
    assert_eq!(
        data(whole.unwrap()),
        [part(0, 333), part(333, 667)].concat()
    );
}

fn a_record_changes_no_mask(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(1);
    let before = layer(0.5, &run);
    run.set_step(3);
    let mask = data(before.forward(Tensor::ones([1000], device)));
    let record = before.into_record();

    // Another program resumes, and says at which step.
    let run = TrainingRun::new(1);
    let after = layer(0.5, &run).load_record(record);
    run.set_step(3);
    assert_eq!(data(after.forward(Tensor::ones([1000], device))), mask);
    run.set_step(4);
    assert_ne!(data(after.forward(Tensor::ones([1000], device))), mask);
}

fn text_and_configuration(_: &Device) {
    let run = TrainingRun::new(1);
    let text = layer(0.5, &run).to_string();
    assert_eq!(text, "FusedDropout {prob: 0.5, layer: 5}");
    let text = layer(0.5, &run).freeze().to_string();
    assert_eq!(
        text,
        "FusedDropout {prob: 0.5, layer: 5, training: disabled}"
    );
    // As Burn's own, of which it stands in the place.
    let theirs = DropoutConfig::new(0.5).init().freeze().to_string();
    assert_eq!(theirs, "Dropout {prob: 0.5, training: disabled}");

    let config = FusedDropoutConfig::new(0.5, 5).with_pattern(MaskPattern::DropPath);
    let read = FusedDropoutConfig::load_binary(config.to_string().as_bytes()).unwrap();
    assert_eq!(read.to_string(), config.to_string());
    assert_eq!(read.pattern, MaskPattern::DropPath);
}
