//! Scaled dot-product attention in your own kernels, forward and backward, with dropout on the
//! probabilities. Neither the matrix of probabilities nor its mask is written. The results are
//! checked against f64.
//!
//! `cargo run --example attention`

use anyhow::{Result, ensure};
use wgpu_dropout::{Direction, DropoutCall, DropoutMask, DropoutRate, MaskKey, MaskLayout, cpu};

#[path = "own_kernels/attention_f64.rs"]
mod attention_f64;
#[path = "mlp/device.rs"]
mod device;
#[path = "own_kernels/mod.rs"]
mod own_kernels;

use own_kernels::Dispatch;

/// Rows and columns of a tile, as in attention.wgsl.
const TILE: u32 = 32;

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of heads in all samples.
    pub heads: u32,
    /// Number of queries of a head, and of keys.
    pub length: u32,
    /// Number of features of a query; a multiple of 4.
    pub head_size: u32,
}

impl Shape {
    /// Number of elements of the output, `(heads, length, head_size)`.
    pub fn elements(&self) -> u64 {
        u64::from(self.heads) * u64::from(self.length) * u64::from(self.head_size)
    }

    /// The mask index of each probability. A row of the mask is the length rounded up to 32, so
    /// that each row of a tile is one aligned mask word. `KeepMask` and the CPU take the same
    /// layout.
    fn mask_layout(&self) -> Result<MaskLayout> {
        let [heads, length] = [self.heads, self.length].map(u64::from);
        let rows = MaskLayout::elementwise(&[heads, length, length.next_multiple_of(32)])?;
        // The kernels number the mask's elements with a u32.
        ensure!(
            rows.len() <= 1 << 32,
            "{heads} heads of length {length}: give fewer heads at once"
        );
        Ok(rows.shard(&[0; 3], &[heads, length, length])?)
    }
}

/// The uniform `Params` of attention.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    mask: DropoutMask,
    heads: u32,
    length: u32,
    scale: f32,
    causal: u32,
}

/// The kernels and their storage buffers of f32.
pub struct Attention {
    pub shape: Shape,
    pub layout: MaskLayout,
    /// True if query i sees the keys 0 to i only.
    pub causal: bool,
    /// Q, K and V: `(3, heads, length, head_size)`.
    pub inputs: wgpu::Buffer,
    pub output: wgpu::Buffer,
    pub grad_output: wgpu::Buffer,
    /// The gradients of Q, K and V, laid out as `inputs`.
    pub gradients: wgpu::Buffer,
    params: wgpu::Buffer,
    forward: Dispatch,
    backward: [Dispatch; 3],
}

impl Attention {
    pub fn new(device: &wgpu::Device, shape: Shape) -> Result<Self> {
        let Shape {
            heads,
            length,
            head_size,
        } = shape;
        ensure!(
            head_size.is_multiple_of(4),
            "the head size {head_size} is not a multiple of 4"
        );
        let layout = shape.mask_layout()?;
        let elements = shape.elements();
        let [inputs, gradients] = [(); 2].map(|()| own_kernels::tensor(device, 3 * elements));
        let [output, grad_output] = [(); 2].map(|()| own_kernels::tensor(device, elements));
        // Forward keeps two numbers for each query, which backward reads.
        let rows = own_kernels::tensor(device, 2 * u64::from(heads * length));
        let params = own_kernels::uniform::<Params>(device);

        let text =
            format!("const VECTORS: u32 = {}u;\n", head_size / 4) + include_str!("attention.wgsl");
        let module = own_kernels::module(device, &text)?;
        let buffers = [&inputs, &gradients, &output, &grad_output, &rows, &params];
        let kernel = |entry_point, bindings: &[u32], workgroups| {
            let buffers: Vec<_> = bindings
                .iter()
                .map(|&binding| (binding, buffers[binding as usize]))
                .collect();
            Dispatch::new(device, &module, entry_point, &buffers, workgroups)
        };
        let tiles = [length.div_ceil(TILE), heads];
        let forward = kernel("forward", &[0, 2, 4, 5], tiles);
        let backward = [
            kernel("deltas", &[2, 3, 4, 5], [(heads * length).div_ceil(64), 1]),
            kernel("query_gradient", &[0, 1, 3, 4, 5], tiles),
            kernel("key_gradients", &[0, 1, 3, 4, 5], tiles),
        ];
        Ok(Self {
            shape,
            layout,
            causal: false,
            inputs,
            output,
            grad_output,
            gradients,
            params,
            forward,
            backward,
        })
    }

    pub fn encode_forward(
        &self,
        queue: &wgpu::Queue,
        pass: &mut wgpu::ComputePass<'_>,
        call: &DropoutCall,
    ) -> Result<()> {
        self.write_params(queue, call)?;
        self.forward.encode(pass);
        Ok(())
    }

    /// `call` is the call of the forward pass, so that the mask is the same.
    pub fn encode_backward(
        &self,
        queue: &wgpu::Queue,
        pass: &mut wgpu::ComputePass<'_>,
        call: &DropoutCall,
    ) -> Result<()> {
        self.write_params(queue, call)?;
        for kernel in &self.backward {
            kernel.encode(pass);
        }
        Ok(())
    }

    /// Writes the parameters of the next submission. A submission can have one call only.
    fn write_params(&self, queue: &wgpu::Queue, call: &DropoutCall) -> Result<()> {
        let Shape {
            heads,
            length,
            head_size,
        } = self.shape;
        let params = Params {
            mask: call.mask_params_of(&self.layout)?,
            heads,
            length,
            scale: 1.0 / (head_size as f32).sqrt(),
            causal: self.causal.into(),
        };
        queue.write_buffer(&self.params, 0, bytemuck::bytes_of(&params));
        Ok(())
    }

    /// Runs forward and backward. Returns the output and the gradients of Q, K and V.
    pub fn run(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        inputs: &[f32],
        grad_output: &[f32],
        call: &DropoutCall,
    ) -> Result<[Vec<f32>; 4]> {
        queue.write_buffer(&self.inputs, 0, bytemuck::cast_slice(inputs));
        queue.write_buffer(&self.grad_output, 0, bytemuck::cast_slice(grad_output));
        own_kernels::submit(device, queue, |pass| {
            self.encode_forward(queue, pass, call)?;
            self.encode_backward(queue, pass, call)
        })?;
        let output = own_kernels::download(device, queue, &self.output)?;
        let gradients = own_kernels::download(device, queue, &self.gradients)?;
        let [grad_q, grad_k, grad_v] =
            [0, 1, 2].map(|matrix| gradients[matrix * output.len()..][..output.len()].to_vec());
        Ok([output, grad_q, grad_k, grad_v])
    }

    /// The errors of [`run`](Self::run)'s four results against f64 with the CPU's mask. For each:
    /// the largest error, and the largest fraction of a bound.
    pub fn errors(
        &self,
        inputs: &[f32],
        grad_output: &[f32],
        call: &DropoutCall,
        got: &[Vec<f32>; 4],
    ) -> Result<[(f64, f64); 4]> {
        // Dropout of ones gives the factor of each element: 0, or the scale.
        let mut factors = vec![1.0; self.layout.len() as usize];
        cpu::apply(Direction::Forward, &self.layout, &mut factors[..], call)?;
        let Shape {
            heads,
            length,
            head_size,
        } = self.shape;
        let sizes = [heads, length, head_size].map(|size| size as usize);
        let exact = attention_f64::attention(sizes, self.causal, inputs, grad_output, &factors);
        Ok([0, 1, 2, 3].map(|i| own_kernels::errors(&got[i], &exact[i])))
    }
}

fn main() -> Result<()> {
    let (device, queue, adapter) = device::open()?;
    // Two samples with three heads each.
    let shape = Shape {
        heads: 6,
        length: 77,
        head_size: 32,
    };
    // Factor 3: scores are large enough for a softmax with peaks.
    let inputs = own_kernels::numbers(3 * shape.elements());
    let inputs: Vec<_> = inputs.into_iter().map(|x| 3.0 * x).collect();
    let grad_output = own_kernels::numbers(shape.elements());
    let mut attention = Attention::new(&device, shape)?;
    println!("{adapter}: largest error against f64, and its fraction of the bound");
    println!(
        "   p  causal            output                dQ                dK                dV"
    );
    for p in [0.0, 0.1, 0.5, 1.0] {
        let call = DropoutCall::new(DropoutRate::new(p)?, MaskKey::layer_step(42, 0, 7));
        for causal in [false, true] {
            attention.causal = causal;
            let got = attention.run(&device, &queue, &inputs, &grad_output, &call)?;
            print!("{p:4}  {causal:6}");
            for (error, share) in attention.errors(&inputs, &grad_output, &call, &got)? {
                print!("  {error:8.1e} {:5.1} %", 100.0 * share);
                ensure!(share <= 1.0, "an error is above its bound");
            }
            println!();
        }
    }
    Ok(())
}
