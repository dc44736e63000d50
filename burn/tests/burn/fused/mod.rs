//! Dropout fused with its neighbours, compared with a computation in f64 that uses the mask of the
//! library's CPU path.

pub mod elementwise;
pub mod layer;
pub mod norm;
pub mod softmax;

use burn::tensor::{Device, Element as BurnElement, Tensor};
use wgpu_dropout::{DropoutCall, Element, ElementType, MaskLayout};
use wgpu_dropout_burn::{AddVectors, dropout_add};

use crate::Case;
use crate::oracle::{call, forward, tensor};

pub const CASES: &[Case] = &[("a_wrong_number_is_seen", a_wrong_number_is_seen)];

/// Numbers of both signs, with magnitudes around 1.
pub fn numbers(len: usize, seed: f64) -> Vec<f64> {
    let number = |i: usize| ((i as f64 * 0.618 + seed).sin() * 2.5) as f32;
    (0..len).map(|i| f64::from(number(i))).collect()
}

pub fn device_tensor<const D: usize>(
    numbers: &[f64],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let numbers: Vec<f32> = numbers.iter().map(|x| *x as f32).collect();
    tensor(&numbers, shape, device).require_grad()
}

/// The nearest numbers of a type.
pub fn rounded<T: Element>(numbers: &[f64]) -> Vec<f64> {
    let nearest = |x: &f64| f64::from(T::from_f32(*x as f32).to_f32());
    numbers.iter().map(nearest).collect()
}

/// As [`device_tensor`], of elements of type `T`, which has these numbers.
pub fn tensor_of<T: Element + BurnElement, const D: usize>(
    numbers: &[f64],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let numbers: Vec<T> = numbers.iter().map(|x| T::from_f32(*x as f32)).collect();
    tensor(&numbers, shape, device).require_grad()
}

/// Fails unless each number is the expected one, rounded `roundings` times to `T`. What f32 loses
/// on the way to it is at most 1e-5. Another error of two units in the last place is seen.
#[track_caller]
pub fn assert_rounded<T: Element, const D: usize>(
    tensor: Tensor<D>,
    expected: &[f64],
    roundings: u32,
) {
    // Half of the distance between 1 and the next number, and so at least half of a unit in the last
    // place of any number, divided by this number.
    let half = match T::TYPE {
        ElementType::F16 => 2f64.powi(-11),
        ElementType::Bf16 => 2f64.powi(-8),
        other => panic!("{other}"),
    };
    let data = tensor.into_data().convert::<f32>();
    let got = data.as_slice::<f32>().unwrap();
    assert_eq!(got.len(), expected.len());
    let is_right = |got: f32, expected: f64| {
        let bound = f64::from(roundings) * half * expected.abs() + 1e-5;
        (f64::from(got) - expected).abs() <= bound
    };
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            is_right(*got, *expected),
            "element {i} is {got}, not {expected}"
        );
    }
    // The negative control.
    let wrong = |(got, expected): (&f32, &f64)| {
        let unit = 4.0 * f64::from(roundings) * half;
        !is_right(*got, expected * (1.0 + unit) + 4e-5f64.copysign(*expected))
    };
    assert!(got.iter().zip(expected).any(wrong));
}

/// The factor by which dropout multiplies each element.
pub fn factors(len: usize, call: &DropoutCall) -> Vec<f64> {
    let factors = forward(&vec![1.0f32; len], &MaskLayout::linear(len as u64), call);
    factors.into_iter().map(f64::from).collect()
}

/// The largest error, divided by the expected magnitude if that is above 1.
pub fn error<const D: usize>(tensor: Tensor<D>, expected: &[f64]) -> f64 {
    let data = tensor.into_data().convert::<f32>();
    let got = data.as_slice::<f32>().unwrap();
    assert_eq!(got.len(), expected.len());
    let errors = got.iter().zip(expected).map(|(got, expected)| {
        let error = (f64::from(*got) - expected).abs() / expected.abs().max(1.0);
        if error.is_nan() { f64::INFINITY } else { error }
    });
    errors.fold(0.0, f64::max)
}

#[track_caller]
pub fn assert_near<const D: usize>(tensor: Tensor<D>, expected: &[f64], bound: f64) {
    let error = error(tensor, expected);
    assert!(error <= bound, "the error {error} is above {bound}");
}

/// The gradients of the tensors `of`, if the output's gradient is `weights`.
pub fn gradients<const D: usize, const N: usize>(
    output: Tensor<D>,
    weights: &[f64],
    of: [&Tensor<D>; N],
) -> ([Tensor<D>; N], burn::tensor::Gradients) {
    let weights = device_tensor(weights, output.dims(), &output.device());
    let mut gradients = (output * weights.detach()).backward();
    let tensors = of.map(|tensor| tensor.grad_remove(&mut gradients).unwrap());
    (tensors, gradients)
}

pub fn sums(matrix: &[f64], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (i, x) in matrix.iter().enumerate() {
        sums[i % columns] += x;
    }
    sums
}

/// With these origins the first element begins a block of the generator, or lies inside one.
pub const ORIGINS: [u64; 2] = [0, 3];

/// The negative control of the comparison: it sees an error of 1e-4, and it sees another mask.
fn a_wrong_number_is_seen(device: &Device) {
    let device = &device.clone().autodiff();
    let x = numbers(1000, 0.1);
    let layout = MaskLayout::linear(1000);
    let input = || device_tensor(&x, [10, 100], device);
    let vectors = AddVectors::default;
    let output = |call| dropout_add(input(), input(), vectors(), &layout, &call).unwrap();
    let right = call(0.3);
    let of = |factors: Vec<f64>| -> Vec<f64> {
        x.iter()
            .zip(factors)
            .map(|(x, factor)| x + x * factor)
            .collect()
    };
    let expected = of(factors(1000, &right));
    assert!(error(output(right), &expected) < 1e-6);
    assert!(error(output(right.with_origin(1)), &expected) > 1e-3);
    let wrong = factors(1000, &right).iter().map(|x| x * 1.0001).collect();
    assert!(error(output(right), &of(wrong)) > 5e-5);
}
