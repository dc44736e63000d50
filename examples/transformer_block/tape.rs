//! The record of a step: the forward operations, and the backward operations that they add. Each
//! has its dispatches and the bytes that it must move.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::Result;
use wgpu::BufferBinding;
use wgpu_dropout::{
    ActDropout, Activation, CallError, ColumnSums, Direction, Dropout, DropoutAddNorm, DropoutCall,
    ElementType, KernelDescriptor, MaskPlace, Norm, SoftmaxDropout,
};

use crate::kernels::{Compiler, F32, Kernel, Source, vectors};
use crate::own_kernels;
use crate::steps::StepBinding;

/// A range of numbers in a buffer.
#[derive(Clone)]
pub struct Range {
    pub buffer: wgpu::Buffer,
    pub begin: u64,
    pub len: u64,
}

impl Range {
    pub fn of(buffer: wgpu::Buffer) -> Self {
        let len = buffer.size() / F32;
        let begin = 0;
        Self { buffer, begin, len }
    }

    pub fn part(&self, begin: u64, len: u64) -> Self {
        Self {
            buffer: self.buffer.clone(),
            begin: self.begin + begin,
            len,
        }
    }

    pub fn binding(&self) -> BufferBinding<'_> {
        BufferBinding {
            buffer: &self.buffer,
            offset: F32 * self.begin,
            size: wgpu::BufferSize::new(F32 * self.len),
        }
    }
}

/// An activation or a parameter, and the gradient of the loss with respect to it.
#[derive(Clone)]
pub struct Tensor {
    pub data: Range,
    pub grad: Range,
}

/// The initial value of a parameter.
#[derive(Clone, Copy)]
pub enum Start {
    All(f32),
    /// Uniform with a variance of 2 divided by this.
    Random(u32),
}

type Encode =
    dyn Fn(&mut wgpu::ComputePass<'_>, &[DropoutCall], StepBinding<'_>) -> Result<(), CallError>;

pub struct Op {
    pub dispatches: u32,
    /// Bytes that it must move. A range counts once for each read and each write.
    pub bytes: u64,
    /// True for dropout in place, which records nothing at rate 0.
    pub is_dropout_in_place: bool,
    pub encode: Box<Encode>,
}

/// The library's handles.
pub struct Handles {
    pub dropout: Dropout,
    pub add_norm: DropoutAddNorm,
    pub gelu: ActDropout,
    pub softmax: SoftmaxDropout,
    pub sums: ColumnSums,
}

impl Handles {
    pub fn new(device: &wgpu::Device) -> Result<Self> {
        let descriptor = KernelDescriptor::default();
        let norm = Norm::layer(1e-5)?;
        Ok(Self {
            dropout: Dropout::new(device, &descriptor)?,
            add_norm: DropoutAddNorm::new(device, &descriptor, norm, MaskPlace::Branch)?,
            gelu: ActDropout::new(device, &descriptor, Activation::GeluTanh)?,
            softmax: SoftmaxDropout::new(device, &descriptor)?,
            sums: ColumnSums::new(device, &descriptor)?,
        })
    }
}

/// One matrix in a tensor, or one for each head of each sample, with the distances between them in
/// numbers.
#[derive(Clone)]
pub struct Matrices {
    pub tensor: Tensor,
    pub begin: u32,
    pub stride: u32,
    pub sample: u32,
    pub head: u32,
    pub is_transposed: bool,
}

impl Matrices {
    pub fn one(tensor: &Tensor, stride: u32) -> Self {
        Self {
            tensor: tensor.clone(),
            begin: 0,
            stride,
            sample: 0,
            head: 0,
            is_transposed: false,
        }
    }

    /// The transpose of the stored matrix.
    pub fn transposed(self) -> Self {
        Self {
            is_transposed: !self.is_transposed,
            ..self
        }
    }

    fn grad(&self) -> Self {
        let grad = self.tensor.grad.clone();
        let data = grad.clone();
        Self {
            tensor: Tensor { data, grad },
            ..self.clone()
        }
    }
}

const MATMUL: Source = Source {
    entry_point: "matmul",
    text: include_str!("matmul.wgsl"),
    reads: 2,
    writes: 1,
};

pub struct Tape<'a> {
    pub compiler: Compiler<'a>,
    pub is_fused: bool,
    pub handles: Rc<Handles>,
    /// Number of tokens in a batch.
    pub rows: u32,
    /// Scratch memory that all column sums share.
    pub scratch: wgpu::Buffer,
    /// All parameters. The first `taken` of them are in use.
    pub parameters: Tensor,
    pub taken: u64,
    pub starts: Vec<(&'static str, Tensor, Start)>,
    /// The kernels, by entry point and overrides.
    pub kernels: HashMap<String, Kernel>,
    /// Number of elements of each dropout so far.
    pub dropouts: Vec<u64>,
    pub forward: Vec<Op>,
    /// In the order of pushing: the last operation of the network comes first.
    pub backward: Vec<Op>,
}

impl Tape<'_> {
    /// Takes the next `len` parameters.
    pub fn parameter(&mut self, name: &'static str, len: u64, start: Start) -> Tensor {
        let all = &self.parameters;
        let [data, grad] = [&all.data, &all.grad].map(|all| all.part(self.taken, len));
        self.taken += len;
        let tensor = Tensor { data, grad };
        self.starts.push((name, tensor.clone(), start));
        tensor
    }

    /// An activation with `columns` numbers for each token.
    pub fn activation(&self, columns: u32) -> Tensor {
        let len = u64::from(self.rows) * u64::from(columns);
        let range = || Range::of(own_kernels::tensor(self.compiler.device, len));
        let (data, grad) = (range(), range());
        Tensor { data, grad }
    }

    /// Adds a dropout of `len` elements. Returns its number.
    pub fn next_dropout(&mut self, len: u64) -> usize {
        self.dropouts.push(len);
        self.dropouts.len() - 1
    }

    /// Adds an operation with this many dispatches, which moves this many numbers.
    pub fn push(
        &mut self,
        direction: Direction,
        (dispatches, numbers): (u32, u64),
        encode: impl Fn(
            &mut wgpu::ComputePass<'_>,
            &[DropoutCall],
            StepBinding<'_>,
        ) -> Result<(), CallError>
        + 'static,
    ) -> &mut Op {
        let ops = match direction {
            Direction::Forward => &mut self.forward,
            Direction::Backward => &mut self.backward,
        };
        ops.push(Op {
            dispatches,
            bytes: F32 * numbers,
            is_dropout_in_place: false,
            encode: Box::new(encode),
        });
        let last = ops.len() - 1;
        &mut ops[last]
    }

    /// Adds a dispatch of one of the example's own kernels, which moves this many numbers.
    pub fn own(
        &mut self,
        direction: Direction,
        source: &Source,
        overrides: &[(&str, f64)],
        ranges: &[&Range],
        (workgroups, numbers): ([u32; 3], u64),
    ) {
        let compiler = &self.compiler;
        let name = format!("{}{overrides:?}", source.entry_point);
        let kernel =
            (self.kernels.entry(name)).or_insert_with(|| compiler.kernel(source, overrides));
        let bindings = ranges.iter().map(|range| range.binding());
        let resources: Vec<_> = bindings.map(wgpu::BindingResource::Buffer).collect();
        let dispatch = kernel.on(&resources, workgroups);
        self.push(direction, (1, numbers), move |pass, _, step| {
            dispatch.encode(pass, step);
            Ok(())
        });
    }

    /// Like [`Self::own`], for a kernel whose invocations each take four numbers of the last range.
    pub fn elementwise(
        &mut self,
        direction: Direction,
        source: &Source,
        overrides: &[(&str, f64)],
        ranges: &[&Range],
        moved: u64,
    ) {
        let len = ranges[ranges.len() - 1].len;
        let work = (vectors(len), moved * len);
        self.own(direction, source, overrides, ranges, work);
    }

    /// Adds c = a b for all `matrices`, and the gradients of both factors. `a` must not be
    /// transposed.
    pub fn product(
        &mut self,
        sizes: [u32; 3],
        matrices: [u32; 2],
        a: &Matrices,
        b: &Matrices,
        c: &Matrices,
    ) {
        let [rows, columns, inner] = sizes;
        self.matmul(Direction::Forward, sizes, matrices, [a, b, c]);
        let (grad, backward) = (c.grad(), Direction::Backward);
        let to_a = [&grad, &b.clone().transposed(), &a.grad()];
        self.matmul(backward, [rows, inner, columns], matrices, to_a);
        let to_b = Matrices {
            is_transposed: false,
            ..b.grad()
        };
        if b.is_transposed {
            let factors = [&grad.transposed(), a, &to_b];
            self.matmul(backward, [columns, inner, rows], matrices, factors);
        } else {
            let factors = [&a.clone().transposed(), &grad, &to_b];
            self.matmul(backward, [inner, columns, rows], matrices, factors);
        }
    }

    fn matmul(
        &mut self,
        direction: Direction,
        sizes: [u32; 3],
        matrices: [u32; 2],
        [a, b, c]: [&Matrices; 3],
    ) {
        let ([rows, columns, inner], [samples, heads]) = (sizes, matrices);
        let mut overrides = vec![
            ("ROWS", rows.into()),
            ("COLUMNS", columns.into()),
            ("INNER", inner.into()),
            ("HEADS", heads.into()),
            ("A_TRANSPOSED", a.is_transposed.into()),
            ("B_TRANSPOSED", b.is_transposed.into()),
        ];
        let names = [
            ["A_BEGIN", "A_STRIDE", "A_SAMPLE", "A_HEAD"],
            ["B_BEGIN", "B_STRIDE", "B_SAMPLE", "B_HEAD"],
            ["C_BEGIN", "C_STRIDE", "C_SAMPLE", "C_HEAD"],
        ];
        for (names, m) in names.into_iter().zip([a, b, c]) {
            let places = [m.begin, m.stride, m.sample, m.head].map(|place| f64::from(place / 4));
            overrides.extend(names.into_iter().zip(places));
        }
        let count = samples * heads;
        let numbers = u64::from(rows * inner + inner * columns + rows * columns);
        // A workgroup makes 64 x 64 numbers of c.
        let workgroups = [columns.div_ceil(64), count * rows.div_ceil(64), 1];
        let ranges = [a, b, c].map(|matrices| &matrices.tensor.data);
        let moved = u64::from(count) * numbers;
        self.own(direction, &MATMUL, &overrides, &ranges, (workgroups, moved));
    }

    /// Adds dropout `i` alone. It is in place if input and output are the same buffer.
    pub fn dropout(
        &mut self,
        direction: Direction,
        i: usize,
        input: &Range,
        output: &Range,
    ) -> Result<()> {
        let handles = self.handles.clone();
        let is_in_place = input.buffer == output.buffer;
        let binding = match is_in_place {
            true => handles.dropout.bind_in_place(input.binding(), input.len)?,
            false => (handles.dropout).bind(input.binding(), output.binding(), input.len)?,
        };
        let moved = (binding.dispatches() as u32, 2 * input.len);
        let op = self.push(direction, moved, move |pass, calls, _| {
            handles.dropout.encode(pass, &binding, &calls[i], direction)
        });
        op.is_dropout_in_place = is_in_place;
        Ok(())
    }

    /// Adds column sums of `matrix` to the backward.
    pub fn column_sums(&mut self, matrix: &Range, sums: &Range) -> Result<()> {
        let handles = self.handles.clone();
        let shape = (matrix.len / sums.len, sums.len as u32);
        let scratch = self.scratch.as_entire_buffer_binding();
        let (from, to) = (matrix.binding(), sums.binding());
        let binding = (handles.sums).bind(from, scratch, to, shape, ElementType::F32)?;
        self.push(Direction::Backward, (2, matrix.len), move |pass, _, _| {
            handles.sums.encode(pass, &binding, false);
            Ok(())
        });
        Ok(())
    }
}
