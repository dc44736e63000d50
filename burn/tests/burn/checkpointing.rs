//! Gradient checkpointing recomputes outputs: with the masks of the forward pass.

use burn::tensor::{Device, Tensor};
use wgpu_dropout_burn::{FusedDropoutConfig, TrainingRun};

use crate::Case;
use crate::oracle::{assert_bits, tensor, values};

pub const CASES: &[Case] = &[("has_the_same_gradients", has_the_same_gradients)];

/// The gradient of a square needs dropout's output, which checkpointing did not keep.
fn gradient(device: &Device, move_on: bool) -> Tensor<1> {
    let run = TrainingRun::new(1);
    let layer = FusedDropoutConfig::new(0.5, 0).init(&run);
    let x = tensor(&values::<f32>(1000)[6..96], [90], device).require_grad();
    let output = layer.forward(x.clone() * 2.0);
    let loss = (output.clone() * output).sum();
    if move_on {
        // The call is what is kept, not the run.
        run.set_step(1);
    }
    let gradients = loss.backward();
    x.grad(&gradients).unwrap()
}

fn has_the_same_gradients(device: &Device) {
    let plain = gradient(&device.clone().autodiff(), false);
    let expected = plain.into_data().try_to_vec::<f32>().unwrap();
    assert!(expected.contains(&0.0) && expected.iter().any(|&x| x != 0.0));
    let checkpointing = device.clone().autodiff().gradient_checkpointing();
    for move_on in [false, true] {
        assert_bits(gradient(&checkpointing, move_on), &expected);
    }
}
