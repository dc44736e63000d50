//! Burn's fusion takes dropout into the kernels of its neighbours, with the same bits.
//!
//! The tests' process calls `install` first. A second process, which calls it too late, runs the
//! same cases. There dropout is an operation of its own.

use std::collections::HashMap;
use std::env;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::DispatchDevice;
use burn::backend::fusion::custom::OperationIr;
use burn::backend::fusion::observer::{BlockOperations, FusionObservation, FusionObserver};
use burn::tensor::{DType, Device, Element as BurnElement, Tensor, activation};
use libtest_mimic::Failed;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{DropoutCall, DropoutKind, Element, MaskLayout};
use wgpu_dropout_burn::{InstallError, dropout, install, installed};

use crate::Case;
use crate::oracle::{assert_bits, backward, call, forward, supports, tensor};

pub const CASES: &[Case] = &[
    ("neighbours", neighbours),
    ("sixteen_bits", sixteen_bits),
    ("gradients", gradients),
    ("layouts", layouts),
    ("kinds", kinds),
    ("several_dropouts", several_dropouts),
    ("broadcast_operands", broadcast_operands),
    ("other_orders_of_memory", other_orders_of_memory),
    ("behind_a_matrix_product", behind_a_matrix_product),
    ("one_kernel_for_all_calls", one_kernel_for_all_calls),
    (
        "another_shape_ends_the_kernel",
        another_shape_ends_the_kernel,
    ),
];

/// The environment variable that makes this process call `install` too late.
const LATE: &str = "WGPU_DROPOUT_BURN_TEST_LATE";

/// Calls `install`. In the second process the registry is sealed before.
pub fn prepare<'a>(devices: impl Iterator<Item = &'a Device>) {
    assert!(!installed());
    if env::var_os(LATE).is_none() {
        install().unwrap();
        install().unwrap();
        assert!(installed());
        return;
    }
    for device in devices {
        let _ = Tensor::<1>::ones([1], device).exp().into_data();
    }
    let error = install().unwrap_err();
    assert_eq!(error, InstallError::TooLate);
    assert!(error.to_string().contains("first in main"));
    assert!(!installed());
}

/// Runs the cases of this file in the second process.
pub fn too_late() -> Result<(), Failed> {
    let output = Command::new(env::current_exe()?)
        .args(["fusion::", "--skip", "too_late"])
        .env(LATE, "1")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains(" 0 passed") {
        return Err(format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

#[derive(Default)]
struct Kernels(AtomicU64);

impl FusionObserver for Kernels {
    fn registered(&self, _operation: &OperationIr) {}

    fn block_starts(&self, block: BlockOperations<'_>) {
        let works = |operation: &OperationIr| {
            let text = format!("{operation:?}");
            let views = ["Drop(", "Init(", "BaseFloat(Reshape", "BaseFloat(SwapDims"];
            !views.iter().any(|view| text.starts_with(view))
        };
        self.0
            .fetch_add(u64::from(block.iter().any(works)), Ordering::Relaxed);
    }

    fn block_ran(&self) {}
}

/// Fails unless the operations are `fused` kernels, or `alone` if dropout is one of its own. The
/// result is read after them. Other devices than CubeCL's fuse nothing.
#[track_caller]
fn assert_kernels<T>(device: &Device, fused: u64, alone: u64, operations: impl FnOnce() -> T) -> T {
    device.sync().unwrap();
    let kernels = Arc::new(Kernels::default());
    let observation = FusionObservation::new(kernels.clone());
    let result = operations();
    device.sync().unwrap();
    drop(observation);
    if matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Cube(_)
    ) {
        let expected = if installed() { fused } else { alone };
        assert_eq!(kernels.0.load(Ordering::Relaxed), expected, "kernels");
    }
    result
}

/// Numbers of both signs with few bits, so that sums of any order are exact in 16 bits too.
fn numbers<T: Element>(len: usize, step: usize) -> Vec<T> {
    let number = |i: usize| ((i * step) % 31) as f32 * 0.25 - 3.75;
    (0..len).map(|i| T::from_f32(number(i))).collect()
}

fn map<T: Element>(numbers: &[T], f: impl Fn(usize, f32) -> f32) -> Vec<T> {
    let number = |(i, x): (usize, &T)| T::from_f32(f(i, x.to_f32()));
    numbers.iter().enumerate().map(number).collect()
}

/// Rows and columns: whole blocks, an odd length, many workgroups.
const SHAPES: [[usize; 2]; 4] = [[4, 40], [5, 7], [300, 256], [3, 22]];

fn neighbours(device: &Device) {
    for (shape, origin) in SHAPES.into_iter().flat_map(|s| [0, 3].map(|o| (s, o))) {
        around::<f32>(shape, &call(0.3).with_origin(origin), device);
    }
}

fn sixteen_bits(device: &Device) {
    for shape in SHAPES {
        if supports(device, DType::F16) {
            around::<f16>(shape, &call(0.3), device);
        }
        if supports(device, DType::BF16) {
            around::<bf16>(shape, &call(0.3), device);
        }
    }
}

/// `residual + dropout(2 * relu(x))`.
fn around<T: Element + BurnElement>(shape: [usize; 2], call: &DropoutCall, device: &Device) {
    let len = shape[0] * shape[1];
    let layout = MaskLayout::linear(len as u64);
    let (x, r) = (numbers::<T>(len, 7), numbers::<T>(len, 11));
    let [input, residual] = [&x, &r].map(|numbers| tensor(numbers, shape, device));
    let output = assert_kernels(device, 1, 3, || {
        let twice = activation::relu(input) * 2.0;
        residual + dropout(twice, &layout, call).unwrap()
    });
    let twice = map(&x, |_, x| x.max(0.0) * 2.0);
    let dropped = forward(&twice, &layout, call);
    assert_bits(output, &map(&dropped, |i, x| r[i].to_f32() + x));
}

fn gradients(device: &Device) {
    let device = &device.clone().autodiff();
    let (shape, len) = ([5, 44], 220);
    let layout = MaskLayout::linear(len as u64);
    let call = call(0.4).with_origin(16);
    let (x, w) = (numbers::<f32>(len, 7), numbers::<f32>(len, 11));
    let input = tensor(&x, shape, device).require_grad();
    let weights = tensor(&w, shape, device);
    let output = dropout(input.clone() * 0.5, &layout, &call).unwrap() * weights;
    device.sync().unwrap();
    // The gradient of the output is made by a kernel too: ones.
    let gradient = assert_kernels(device, 1, 3, || input.grad(&output.backward()).unwrap());
    let expected = map(&backward(&w, &layout, &call), |_, x| x * 0.5);
    assert_bits(gradient, &expected);
}

fn layouts(device: &Device) {
    let shape = [6, 8, 20];
    let sizes = shape.map(|size| size as u64);
    let len = shape.iter().product();
    for layout in [
        MaskLayout::elementwise(&sizes).unwrap(),
        MaskLayout::feature_channels_first(&sizes).unwrap(),
        MaskLayout::feature_channels_last(&sizes).unwrap(),
        MaskLayout::time_locked_batch_first(&sizes).unwrap(),
        MaskLayout::time_locked_time_first(&sizes).unwrap(),
        MaskLayout::drop_path(&sizes).unwrap(),
        MaskLayout::strided(&sizes, &[1 << 40, 24, 1]).unwrap(),
        MaskLayout::strided(&sizes, &[1, 1 << 33, 7]).unwrap(),
    ] {
        for origin in [0, 8, 5] {
            let call = call(0.5).with_origin(origin);
            let x = numbers::<f32>(len, 7);
            let input = tensor(&x, shape, device);
            let output = assert_kernels(device, 1, 2, || {
                dropout(input, &layout, &call).unwrap() + 1.0
            });
            let dropped = forward(&x, &layout, &call);
            assert_bits(output, &map(&dropped, |_, x| x + 1.0));
        }
    }
}

fn kinds(device: &Device) {
    let (shape, len) = ([5, 44], 220);
    let layout = MaskLayout::linear(len as u64);
    let x = numbers::<f32>(len, 7);
    for kind in [
        DropoutKind::Inverted,
        DropoutKind::Classic,
        DropoutKind::Alpha,
        DropoutKind::Gaussian,
    ] {
        for origin in [0, 3] {
            let call = call(0.25).with_kind(kind).with_origin(origin);
            let input = tensor(&x, shape, device);
            // The device's own kernel, since it computes noise within bounds only.
            let dropped = dropout(input.clone(), &layout, &call).unwrap().into_data();
            let dropped = dropped.as_slice::<f32>().unwrap();
            let output = assert_kernels(device, 1, 2, || {
                dropout(input, &layout, &call).unwrap() * 2.0
            });
            assert_bits(output, &map(dropped, |_, x| x * 2.0));
        }
    }
}

fn several_dropouts(device: &Device) {
    let (shape, len) = ([9, 24], 216);
    let layout = MaskLayout::linear(len as u64);
    let (first, second) = (call(0.5).with_origin(5), call(0.2).with_origin(1 << 33));
    let (x, y) = (numbers::<f32>(len, 7), numbers::<f32>(len, 3));
    let [a, b] = [&x, &y].map(|numbers| tensor(numbers, shape, device));
    let output = assert_kernels(device, 1, 3, || {
        let sum = dropout(a, &layout, &first).unwrap() + b;
        dropout(sum, &layout, &second).unwrap()
    });
    let sum = map(&forward(&x, &layout, &first), |i, x| x + y[i]);
    assert_bits(output, &forward(&sum, &layout, &second));
}

fn broadcast_operands(device: &Device) {
    for [rows, columns] in SHAPES {
        let len = rows * columns;
        let layout = MaskLayout::linear(len as u64);
        let (x, b) = (numbers::<f32>(len, 7), numbers::<f32>(columns, 3));
        let input = tensor(&x, [rows, columns], device);
        let bias = tensor(&b, [1, columns], device);
        let call = call(0.5);
        let output = assert_kernels(device, 1, 3, || {
            dropout(input + bias.clone(), &layout, &call).unwrap() * bias
        });
        let sum = map(&x, |i, x| x + b[i % columns]);
        let dropped = forward(&sum, &layout, &call);
        assert_bits(output, &map(&dropped, |i, x| x * b[i % columns]));
    }
}

/// Masks follow the tensor's elements, wherever they lie in memory.
fn other_orders_of_memory(device: &Device) {
    for [rows, columns] in SHAPES {
        let len = rows * columns;
        let layout = MaskLayout::linear(len as u64);
        let x = numbers::<f32>(len, 7);
        let turned = tensor(&x, [columns, rows], device).swap_dims(0, 1);
        let call = call(0.5);
        let output = assert_kernels(device, 1, 3, || {
            dropout(turned * 0.5, &layout, &call).unwrap() + 1.0
        });
        let half: Vec<f32> = (0..len)
            .map(|i| 0.5 * x[i % columns * rows + i / columns])
            .collect();
        assert_bits(
            output,
            &map(&forward(&half, &layout, &call), |_, x| x + 1.0),
        );
    }
}

/// A matrix product is a kernel of its own, and dropout behind it is fused with what follows. For
/// the observer both are one block.
fn behind_a_matrix_product(device: &Device) {
    let (rows, columns) = (24, 40);
    let layout = MaskLayout::linear((rows * columns) as u64);
    let (a, b) = (numbers::<f32>(rows * 8, 7), numbers::<f32>(8 * columns, 3));
    let call = call(0.5);
    let product = || tensor(&a, [rows, 8], device).matmul(tensor(&b, [8, columns], device));
    // All terms are multiples of 1 / 16 below 2^10, so that the sums are exact.
    let exact = product().into_data();
    let exact = exact.as_slice::<f32>().unwrap();
    let dropped = forward(exact, &layout, &call);
    let output = assert_kernels(device, 1, 3, || {
        dropout(product(), &layout, &call).unwrap() + 1.0
    });
    assert_bits(output, &map(&dropped, |_, x| x + 1.0));
    // Between two products dropout has no neighbour.
    let identity = (0..columns * columns).map(|i| f32::from(u8::from(i % (columns + 1) == 0)));
    let identity: Vec<f32> = identity.collect();
    let output = assert_kernels(device, 2, 3, || {
        let identity = tensor(&identity, [columns, columns], device);
        dropout(product(), &layout, &call).unwrap().matmul(identity)
    });
    assert_bits(output, &map(&dropped, |_, x| x + 0.0));
}

/// Burn keeps the kernel of operations that it saw before. Each call has its own numbers there.
fn one_kernel_for_all_calls(device: &Device) {
    let mut seen = HashMap::new();
    for (rows, origin, p) in [
        (8, 0, 0.5),
        (8, 0, 0.1),
        (8, 64, 0.5),
        (16, 0, 0.5),
        (8, 0, 1.0),
    ] {
        let len = rows * 40;
        let layout = MaskLayout::linear(len as u64);
        let x = vec![1.0f32; len];
        let call = call(p).with_origin(origin);
        let input = tensor(&x, [rows, 40], device);
        let output = assert_kernels(device, 1, 2, || {
            dropout(input, &layout, &call).unwrap() + 1.0
        });
        let expected = map(&forward(&x, &layout, &call), |_, x| x + 1.0);
        assert_bits(output, &expected);
        let bits: Vec<u32> = expected.iter().map(|x| x.to_bits()).collect();
        assert!(
            seen.insert(bits, (rows, origin)).is_none(),
            "two equal masks"
        );
    }
}

/// A kernel that visits elements more than once cannot make their decisions.
fn another_shape_ends_the_kernel(device: &Device) {
    let (rows, columns) = (6, 40);
    let layout = MaskLayout::linear(columns as u64);
    let (x, y) = (
        numbers::<f32>(columns, 7),
        numbers::<f32>(rows * columns, 3),
    );
    let row = tensor(&x, [1, columns], device);
    let matrix = tensor(&y, [rows, columns], device);
    let call = call(0.5);
    let output = assert_kernels(device, 2, 3, || {
        dropout(row * 2.0, &layout, &call).unwrap() + matrix
    });
    let twice = map(&x, |_, x| x * 2.0);
    let dropped = forward(&twice, &layout, &call);
    assert_bits(output, &map(&y, |i, y| dropped[i % columns] + y));
}
