//! Gradient checkpointing recomputes outputs with the masks of the forward pass.

use burn::tensor::{Device, Tensor};
use wgpu_dropout_burn::{FusedDropoutConfig, TrainingRun};

use crate::Case;
use crate::oracle::{assert_bits, tensor, values};

pub const CASES: &[Case] = &[("has_the_same_gradients", has_the_same_gradients)];

/// The gradient of a square needs dropout's output, which checkpointing did not keep. The layer is
/// called twice, and each call must be recomputed with its own mask.
fn gradient(seed: u64, device: &Device, move_on: bool) -> Tensor<1> {
    let run = TrainingRun::new(seed);
    let layer = run.build(|| FusedDropoutConfig::new(0.5).init());
    let x = tensor(&values::<f32>(1000)[6..96], [90], device).require_grad();
    let first = layer.forward(x.clone() * 2.0);
    let second = layer.forward(x.clone() * 3.0);
    let squares = first.clone() * first + second.clone() * second;
    if move_on {
        // The recomputation must use the kept call, not the run or the layer's count.
        run.set_seed(seed + 1);
        run.set_step(1);
        layer.forward(x.clone());
    }
    let gradients = squares.backward();
    x.grad(&gradients).unwrap()
}

fn has_the_same_gradients(device: &Device) {
    let data = |gradient: Tensor<1>| gradient.into_data().try_to_vec::<f32>().unwrap();
    let plain = device.clone().autodiff();
    let expected = data(gradient(1, &plain, false));
    assert!(expected.contains(&0.0) && expected.iter().any(|&x| x != 0.0));
    // The negative control: other masks have another gradient.
    assert_ne!(data(gradient(2, &plain, false)), expected);
    let checkpointing = device.clone().autodiff().gradient_checkpointing();
    for move_on in [false, true] {
        assert_bits(gradient(1, &checkpointing, move_on), &expected);
    }
}
