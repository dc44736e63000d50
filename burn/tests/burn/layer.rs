//! The layer behaves as Burn's own, except where it promises more.

use burn::config::Config;
use burn::module::Module;
use burn::nn::DropoutConfig;
use burn::tensor::{Device, Tensor};
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, MaskLayout};
use wgpu_dropout_burn::{FusedDropout, FusedDropoutConfig, MaskPattern, TrainingRun};

use crate::oracle::{assert_bits, forward, tensor, values};
use crate::{Case, log};

pub const CASES: &[Case] = &[
    ("drops_in_training_alone", drops_in_training_alone),
    (
        "a_call_is_the_numbers_it_folds",
        a_call_is_the_numbers_it_folds,
    ),
    ("calls_count_anew_in_a_step", calls_count_anew_in_a_step),
    (
        "layers_are_numbered_as_they_are_built",
        layers_are_numbered_as_they_are_built,
    ),
    (
        "a_site_has_the_number_of_its_name",
        a_site_has_the_number_of_its_name,
    ),
    ("a_shared_mask_is_one_a_step", a_shared_mask_is_one_a_step),
    ("any_call_on_any_device", any_call_on_any_device),
    ("shards_have_the_whole_mask", shards_have_the_whole_mask),
    (
        "records_are_those_of_burns_own",
        records_are_those_of_burns_own,
    ),
    (
        "the_log_says_how_to_have_a_mask_again",
        the_log_says_how_to_have_a_mask_again,
    ),
    ("text_and_configuration", text_and_configuration),
];

const LEN: usize = 1000;

fn layer(prob: f64, run: &TrainingRun) -> FusedDropout {
    run.build(|| FusedDropoutConfig::new(prob).init())
}

fn ones(device: &Device) -> Tensor<1> {
    Tensor::ones([LEN], device)
}

fn data(output: Tensor<1>) -> Vec<f32> {
    output.into_data().try_to_vec().unwrap()
}

fn call(prob: f64, key: MaskKey) -> DropoutCall {
    DropoutCall::new(DropoutRate::new(prob).unwrap(), key)
}

fn drops_in_training_alone(device: &Device) {
    let run = TrainingRun::new(1);
    let training = device.clone().autodiff();
    let is_whole = |output| data(output).iter().all(|&x| x == 1.0);
    assert!(!is_whole(layer(0.5, &run).forward(ones(&training))));
    let idle = layer(0.5, &run);
    assert!(is_whole(idle.forward(ones(device))));
    assert!(is_whole(idle.valid().forward(ones(&training))));
    // Neither forward counts as a call.
    assert_eq!(idle.call(), None);
    assert!(is_whole(layer(0.0, &run).forward(ones(&training))));
    let frozen = layer(0.5, &run).freeze();
    assert!(is_whole(frozen.clone().forward(ones(&training))));
    assert!(is_whole(
        frozen.clone().valid().train().forward(ones(&training))
    ));
    assert!(!is_whole(frozen.unfreeze().forward(ones(&training))));
    // Burn's own layer refuses this rate.
    let all = layer(1.0, &run).forward(ones(&training));
    assert_bits(all, &[0.0f32; LEN]);
}

/// The call must have the key that the command line makes from `--seed 9 --stream 0` and four times
/// `--fold-in`.
fn a_call_is_the_numbers_it_folds(device: &Device) {
    let device = &device.clone().autodiff();
    let input = values::<f32>(LEN);
    let run = TrainingRun::new(9);
    let layers = [layer(0.25, &run), layer(0.25, &run)];
    for step in [0, 1, 77] {
        run.set_step(step);
        for number in [1, 0] {
            for use_in_step in 0..2 {
                let layer = &layers[number as usize];
                let output = layer.forward(tensor(&input, [LEN], device));
                let numbers = [number, u64::from(step), use_in_step, 0];
                let key = numbers
                    .into_iter()
                    .fold(MaskKey::new(9, 0), |key, n| key.fold_in(n).unwrap());
                assert_eq!(layer.call(), Some(call(0.25, key)));
                let layout = MaskLayout::linear(LEN as u64);
                assert_bits(output, &forward(&input, &layout, &call(0.25, key)));
            }
        }
    }
}

fn calls_count_anew_in_a_step(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(1);
    let layer = layer(0.5, &run);
    let two = || [(); 2].map(|()| data(layer.forward(ones(device))));
    let first = two();
    assert_ne!(first[0], first[1]);
    // Another worker sets the same step a second time. The count of calls goes on.
    run.set_step(0);
    assert!(!first.contains(&two()[0]));
    run.set_step(1);
    assert!(!first.contains(&two()[0]));
    run.set_step(0);
    assert_eq!(two(), first);
    // A run that is seeded again begins again.
    run.set_step(5);
    run.set_seed(1);
    assert_eq!((run.seed(), run.step()), (1, 0));
    assert_eq!(two(), first);
    run.set_seed(2);
    assert!(!first.contains(&two()[0]));
}

fn layers_are_numbered_as_they_are_built(_: &Device) {
    let number = |layer: FusedDropout| layer.to_string();
    let text = |n| format!("FusedDropout {{prob: 0.5, layer: {n}}}");
    let (run, other) = (TrainingRun::new(1), TrainingRun::default());
    assert_eq!(number(layer(0.5, &run)), text(0));
    // Neither a model that is built while another is being built, nor a refused layer, takes a
    // number from the other model.
    run.build(|| {
        assert_eq!(number(layer(0.5, &other)), text(0));
        assert!(FusedDropoutConfig::new(2.0).try_init().is_err());
        assert_eq!(number(FusedDropoutConfig::new(0.5).init()), text(1));
        assert_eq!(TrainingRun::current().seed(), 1);
    });
    assert_eq!(number(layer(0.5, &run)), text(2));
    assert_eq!(number(layer(0.5, &other)), text(1));
    // The operating system gives two runs different seeds.
    assert_ne!(other.seed(), TrainingRun::default().seed());
    assert_ne!(TrainingRun::current().seed(), 1);
}

fn a_site_has_the_number_of_its_name(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(1);
    let site = |name: &str| run.build(|| FusedDropoutConfig::new(0.5).with_site(name).init());
    let before = site("head");
    let mask = data(before.forward(ones(device)));
    layer(0.5, &run);
    // 60 bits of the FNV-1a hash, computed by another program.
    let text = "FusedDropout {prob: 0.5, layer: 1200474475296563392}";
    assert_eq!(site("head").to_string(), text);
    assert_ne!(site("tail").to_string(), text);
    // Two layers of one name are one layer to the run.
    assert_ne!(data(site("head").forward(ones(device))), mask);
    run.set_step(1);
    run.set_step(0);
    assert_eq!(data(site("head").forward(ones(device))), mask);
    assert_ne!(data(site("tail").forward(ones(device))), mask);
}

fn a_shared_mask_is_one_a_step(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(1);
    let config = FusedDropoutConfig::new(0.5).shared_mask();
    let layer = run.build(|| config.init());
    let mask = |layer: &FusedDropout| data(layer.forward(ones(device)));
    let first = mask(&layer);
    assert_eq!(mask(&layer), first);
    assert_eq!(mask(&layer.clone()), first);
    run.set_step(1);
    assert_ne!(mask(&layer), first);
}

/// Monte-Carlo dropout at inference. Each member has a stream of its own.
fn any_call_on_any_device(device: &Device) {
    let layer = layer(0.5, &TrainingRun::new(1));
    let input = values::<f32>(LEN);
    for member in 0..3 {
        let call = call(0.5, MaskKey::new(7, member));
        let output = layer.forward_with(tensor(&input, [LEN], device), &call);
        let expected = forward(&input, &MaskLayout::linear(LEN as u64), &call);
        assert_bits(output.unwrap(), &expected);
    }
    assert_eq!(layer.call(), None);
}

fn shards_have_the_whole_mask(device: &Device) {
    let layer = layer(0.5, &TrainingRun::new(1));
    let whole = data(layer.forward(ones(&device.clone().autodiff())));
    let call = layer.call().unwrap();
    let part = |start: usize, len| {
        let call = call.with_origin(start as u64);
        let output = layer.forward_with(Tensor::ones([len], device), &call);
        data(output.unwrap())
    };
    assert_eq!(whole, [part(0, 333), part(333, 667)].concat());
}

/// Records hold neither flags nor seeds nor counts.
fn records_are_those_of_burns_own(device: &Device) {
    let device = &device.clone().autodiff();
    let (run, again) = (TrainingRun::new(1), TrainingRun::new(1));
    let before = layer(0.5, &run);
    let mask = data(before.forward(ones(device)));
    let theirs = DropoutConfig::new(0.5)
        .init()
        .load_record(before.into_record());
    let after = layer(0.5, &again).load_record(theirs.into_record());
    assert_eq!(data(after.forward(ones(device))), mask);
    assert_ne!(data(after.forward(ones(device))), mask);
}

fn the_log_says_how_to_have_a_mask_again(device: &Device) {
    let device = &device.clone().autodiff();
    let run = TrainingRun::new(42);
    let layer = layer(0.5, &run);
    run.set_step(7);
    log::take();
    layer.forward(ones(device));
    layer.forward(ones(device));
    let expected = [
        "INFO dropout: seed 42, from step 7",
        "TRACE dropout: seed 42, layer 0, step 7, call 0, replica 0",
        "TRACE dropout: seed 42, layer 0, step 7, call 1, replica 0",
    ];
    assert_eq!(log::take(), expected);
}

#[derive(Config, Debug)]
struct TheirModelConfig {
    dropout: DropoutConfig,
    width: usize,
}

#[derive(Config, Debug)]
struct OurModelConfig {
    dropout: FusedDropoutConfig,
    width: usize,
}

fn text_and_configuration(_: &Device) {
    let run = TrainingRun::new(1);
    let text = layer(0.5, &run).to_string();
    assert_eq!(text, "FusedDropout {prob: 0.5, layer: 0}");
    let text = layer(0.5, &run).freeze().to_string();
    assert_eq!(
        text,
        "FusedDropout {prob: 0.5, layer: 1, training: disabled}"
    );
    // The text of Burn's layer, which this one replaces, has the same form.
    let theirs = DropoutConfig::new(0.5).init().freeze().to_string();
    assert_eq!(theirs, "Dropout {prob: 0.5, training: disabled}");

    let config = FusedDropoutConfig::new(0.5)
        .with_pattern(MaskPattern::DropPath)
        .with_site("head")
        .shared_mask();
    let read = |text: String| FusedDropoutConfig::load_binary(text.as_bytes()).unwrap();
    assert_eq!(read(config.to_string()), config);
    // A saved file of Burn's configuration loads, alone and in that of a model.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    DropoutConfig::new(0.25).save(&file).unwrap();
    let loaded = FusedDropoutConfig::load(&file).unwrap();
    assert_eq!(loaded, FusedDropoutConfig::new(0.25));
    let theirs = TheirModelConfig::new(DropoutConfig::new(0.25), 7);
    theirs.save(&file).unwrap();
    let ours = OurModelConfig::load(&file).unwrap();
    assert_eq!((ours.dropout, ours.width), (loaded, 7));
    // The negative control: a file without a probability does not load.
    assert!(FusedDropoutConfig::load_binary(br#"{"rate":0.25}"#).is_err());
    // The file also loads as Burn's configuration, for a model that goes on without this crate.
    let back = DropoutConfig::load_binary(config.to_string().as_bytes()).unwrap();
    assert_eq!(back.prob, 0.5);
}
