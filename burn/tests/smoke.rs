use burn::tensor::{Device, Distribution, Tensor};
use wgpu_dropout::*;
use wgpu_dropout_burn::*;

#[test]
fn first() {
    let device = Device::wgpu(Default::default()).autodiff();
    let run = TrainingRun::new(42);
    let layer = FusedDropoutConfig::new(0.25, 3).init(&run);
    for len in [1000usize, 1024, 100_003, 1 << 20] {
        let x = Tensor::<1>::random([len], Distribution::Default, &device).require_grad();
        let y = layer.forward(x.clone());
        let grads = (y.clone() * 3.0).sum().backward();
        let g = x.grad(&grads).unwrap();
        let x = x.into_data();
        let y = y.into_data();
        let g = g.into_data();
        let mut expected = vec![0f32; len];
        cpu::forward(
            x.as_slice::<f32>().unwrap(),
            &mut expected,
            &layer.call().unwrap(),
        )
        .unwrap();
        assert_eq!(y.as_slice::<f32>().unwrap(), expected);
        cpu::backward(&vec![3f32; len], &mut expected, &layer.call().unwrap()).unwrap();
        assert_eq!(g.as_slice::<f32>().unwrap(), expected);
    }
}
