//! Your own matrix product with bias, relu and dropout in its epilogue, so that dropout needs no
//! pass over memory. The library's kernel computes backward, with the same mask.
//!
//! `cargo run --example matmul_epilogue`

use anyhow::{Result, ensure};
use wgpu_dropout::{
    Direction, Dropout, DropoutBinding, DropoutCall, DropoutMask, DropoutRate, KernelDescriptor,
    MaskKey, cpu,
};

#[path = "mlp/device.rs"]
mod device;
#[path = "own_kernels/mod.rs"]
mod own_kernels;

use own_kernels::{Bounded, Dispatch};

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub rows: u32,
    /// Number of columns of x.
    pub inner: u32,
    /// Number of columns of y; a multiple of 8.
    pub columns: u32,
}

/// The uniform `Params` of matmul_epilogue.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    mask: DropoutMask,
    rows: u32,
    inner: u32,
    columns: u32,
    padding: u32,
}

/// `y = dropout(relu(x w + bias))` in storage buffers of f32.
pub struct Dense {
    size: Size,
    pub x: wgpu::Buffer,
    pub w: wgpu::Buffer,
    pub bias: wgpu::Buffer,
    pub y: wgpu::Buffer,
    pub grad_y: wgpu::Buffer,
    /// The gradient of x w + bias.
    pub grad_sum: wgpu::Buffer,
    params: wgpu::Buffer,
    product: Dispatch,
    dropout: Dropout,
    grad_relu: DropoutBinding,
    relu_gradient: Dispatch,
}

impl Dense {
    pub fn new(device: &wgpu::Device, size: Size) -> Result<Self> {
        let Size {
            rows,
            inner,
            columns,
        } = size;
        ensure!(
            columns.is_multiple_of(8),
            "{columns} columns are not a multiple of 8"
        );
        let tensor = |rows: u32, columns: u32| {
            own_kernels::tensor(device, u64::from(rows) * u64::from(columns))
        };
        let (x, w, bias) = (
            tensor(rows, inner),
            tensor(inner, columns),
            tensor(1, columns),
        );
        let [y, grad_y, grad_sum] = [(); 3].map(|()| tensor(rows, columns));
        let params = own_kernels::uniform::<Params>(device);

        let module = own_kernels::module(device, include_str!("matmul_epilogue.wgsl"))?;
        let buffers = [(0, &x), (1, &w), (2, &bias), (3, &y), (4, &params)];
        let tiles = [columns.div_ceil(64), rows.div_ceil(32)];
        let product = Dispatch::new(device, &module, "product", &buffers, tiles);

        let dropout = Dropout::new(device, &KernelDescriptor::default())?;
        let len = u64::from(rows) * u64::from(columns);
        let grad_relu = dropout.bind(
            grad_y.as_entire_buffer_binding(),
            grad_sum.as_entire_buffer_binding(),
            len,
        )?;
        // Relu passes a gradient where y is positive. If y is 0 because of dropout, the gradient is
        // 0 too.
        let module = own_kernels::module(device, include_str!("shaders/relu_gradient.wgsl"))?;
        let buffers = [(0, &y), (1, &grad_sum)];
        let vectors = [(len / 4).div_ceil(64) as u32, 1];
        let relu_gradient = Dispatch::new(device, &module, "relu_gradient", &buffers, vectors);
        Ok(Self {
            size,
            x,
            w,
            bias,
            y,
            grad_y,
            grad_sum,
            params,
            product,
            dropout,
            grad_relu,
            relu_gradient,
        })
    }

    /// Writes the parameters of the next submission. A submission can have one call only.
    pub fn encode_forward(
        &self,
        queue: &wgpu::Queue,
        pass: &mut wgpu::ComputePass<'_>,
        call: &DropoutCall,
    ) -> Result<()> {
        ensure!(
            call.origin.is_multiple_of(8),
            "the origin {} is not a multiple of 8, where a block begins",
            call.origin
        );
        let Size {
            rows,
            inner,
            columns,
        } = self.size;
        let params = Params {
            mask: call.mask_params(0, u64::from(rows) * u64::from(columns))?,
            rows,
            inner,
            columns,
            padding: 0,
        };
        queue.write_buffer(&self.params, 0, bytemuck::bytes_of(&params));
        self.product.encode(pass);
        Ok(())
    }

    /// Makes the gradient of x w + bias. The rest of backward has no dropout: grad_x = grad_sum
    /// w^T, grad_w = x^T grad_sum.
    pub fn encode_backward(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        call: &DropoutCall,
    ) -> Result<()> {
        self.dropout.encode_backward(pass, &self.grad_relu, call)?;
        self.relu_gradient.encode(pass);
        Ok(())
    }

    /// Runs forward and backward on x, w, bias and grad_y. Returns y and the gradient of x w +
    /// bias.
    pub fn run(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        inputs: &[Vec<f32>; 4],
        call: &DropoutCall,
    ) -> Result<[Vec<f32>; 2]> {
        let buffers = [&self.x, &self.w, &self.bias, &self.grad_y];
        for (buffer, elements) in buffers.into_iter().zip(inputs) {
            queue.write_buffer(buffer, 0, bytemuck::cast_slice(elements));
        }
        own_kernels::submit(device, queue, |pass| {
            self.encode_forward(queue, pass, call)?;
            self.encode_backward(pass, call)
        })?;
        Ok([
            own_kernels::download(device, queue, &self.y)?,
            own_kernels::download(device, queue, &self.grad_sum)?,
        ])
    }
}

/// Checks the results of [`Dense::run`]: y against f64 within a bound, and the gradient against the
/// CPU to the bit.
pub fn check(
    size: Size,
    [x, w, bias, grad_y]: &[Vec<f32>; 4],
    call: &DropoutCall,
    [y, grad_sum]: &[Vec<f32>; 2],
) -> Result<()> {
    let [inner, columns] = [size.inner, size.columns].map(|n| n as usize);
    let on_cpu = |direction, mut x: Vec<f32>| -> Result<_> {
        cpu::apply(direction, x.len() as u64, &mut x[..], call)?;
        Ok(x)
    };
    // Dropout of ones gives the factor of each element: 0, or the scale.
    let factors = on_cpu(Direction::Forward, vec![1.0; y.len()])?;
    let exact = |(at, factor): (usize, &f32)| {
        let (row, column) = (at / columns, at % columns);
        let terms =
            (0..inner).map(|k| f64::from(x[row * inner + k]) * f64::from(w[k * columns + column]));
        let bias = f64::from(bias[column]);
        let magnitude = bias.abs() + terms.clone().map(f64::abs).sum::<f64>();
        let factor = f64::from(*factor);
        Bounded {
            exact: (bias + terms.sum::<f64>()).max(0.0) * factor,
            // One rounding for each product and each sum.
            bound: (inner + 2) as f64 * f64::from(f32::EPSILON) * magnitude * factor,
        }
    };
    let exact: Vec<_> = factors.iter().enumerate().map(exact).collect();
    let (error, share) = own_kernels::errors(y, &exact);
    ensure!(
        share <= 1.0,
        "y is off by up to {error:e}, {share:.3} of its bound; {call}"
    );

    let mut expected = on_cpu(Direction::Backward, grad_y.clone())?;
    for (gradient, y) in expected.iter_mut().zip(y) {
        if *y <= 0.0 {
            *gradient = 0.0;
        }
    }
    ensure!(
        bytemuck::cast_slice::<_, u32>(&expected) == bytemuck::cast_slice::<_, u32>(grad_sum),
        "the gradient's bits differ from the CPU's; {call}"
    );
    Ok(())
}

fn main() -> Result<()> {
    let (device, queue, adapter) = device::open()?;
    let size = Size {
        rows: 100,
        inner: 60,
        columns: 72,
    };
    let [rows, inner, columns] = [size.rows, size.inner, size.columns].map(u64::from);
    let inputs = [rows * inner, inner * columns, columns, rows * columns].map(own_kernels::numbers);
    let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 0, 7));
    let results = Dense::new(&device, size)?.run(&device, &queue, &inputs, &call)?;
    check(size, &inputs, &call, &results)?;
    println!("{adapter}: the product's mask equals the library's, forward and backward");
    Ok(())
}
