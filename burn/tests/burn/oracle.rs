//! Results of the library's CPU path, and the comparison with them.

use burn::backend::DispatchDevice;
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{DType, Device, DeviceKind, Element as BurnElement, Tensor, TensorData};
use wgpu_dropout::{Direction, DropoutCall, DropoutRate, Element, MaskKey, MaskLayout, cpu};

pub fn call(p: f64) -> DropoutCall {
    let key = MaskKey::layer_step(42, 3, 7);
    DropoutCall::new(DropoutRate::new(p).unwrap(), key)
}

/// Values of both signs and many magnitudes, and special values such as zeros and infinities.
pub fn values<T: Element>(len: usize) -> Vec<T> {
    const AWKWARD: [f32; 6] = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 3e4, -1e-3];
    let value = |i: usize| match i % 97 {
        j @ 0..6 => AWKWARD[j],
        _ => (i as f32 * 0.618).sin() * (1 + i % 1000) as f32,
    };
    (0..len).map(|i| T::from_f32(value(i))).collect()
}

/// A tensor on `device` of the elements' own type.
pub fn tensor<T: Element + BurnElement, const D: usize>(
    values: &[T],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        (device, T::dtype()),
    )
}

pub fn forward<T: Element>(input: &[T], layout: &MaskLayout, call: &DropoutCall) -> Vec<T> {
    apply(Direction::Forward, input, layout, call)
}

pub fn backward<T: Element>(grad: &[T], layout: &MaskLayout, call: &DropoutCall) -> Vec<T> {
    apply(Direction::Backward, grad, layout, call)
}

fn apply<T: Element>(
    direction: Direction,
    input: &[T],
    layout: &MaskLayout,
    call: &DropoutCall,
) -> Vec<T> {
    let mut output = input.to_vec();
    cpu::apply(direction, layout, &mut output, call).unwrap();
    output
}

/// Fails unless the tensor has these elements to the bit.
#[track_caller]
pub fn assert_bits<T: Element + BurnElement, const D: usize>(tensor: Tensor<D>, expected: &[T]) {
    assert_eq!(tensor.dtype(), T::dtype());
    let data = tensor.into_data();
    let got = data.as_slice::<T>().unwrap();
    assert_eq!(got.len(), expected.len());
    let bits = |x: &T| x.to_f32().to_bits();
    let differing = got
        .iter()
        .zip(expected)
        .position(|(a, b)| bits(a) != bits(b));
    if let Some(i) = differing {
        panic!("element {i} is {:?}, not {:?}", got[i], expected[i]);
    }
}

/// Returns true if the device computes with the type.
pub fn supports(device: &Device, dtype: DType) -> bool {
    device.supports_dtype(dtype)
}

/// A GPU, with other devices of this machine, or else `device` alone. Burn takes them for separate
/// devices, even if they use the same adapter.
pub fn devices(device: &Device) -> Vec<Device> {
    let mut devices = vec![device.clone()];
    if matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Cube(_)
    ) {
        let others = [
            Device::wgpu_options().device_kind(DeviceKind::Cpu),
            Device::wgpu_options().graphics_api(WgpuBackend::Gl),
        ];
        let others = others.into_iter().filter_map(|options| options.init().ok());
        for other in others.chain([Device::flex()]) {
            if !devices.contains(&other) {
                devices.push(other);
            }
        }
    }
    devices
}
