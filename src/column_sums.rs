//! Sums of a matrix's columns: the gradient of a vector that was repeated over its rows.

use crate::contract::call::DropoutCall;
use crate::contract::element::ElementType;
use crate::contract::error::CallError;
use crate::host::bound::BoundSegment;
use crate::host::device::{KernelDescriptor, KernelHost, cut_limits};
use crate::host::error::BindError;
use crate::host::params::ParameterPath;
use crate::host::range::CheckedRange;
use crate::kernel::axes::{Kernel, Role, WORKGROUP_SIZE};
use crate::plan::columns::{ColumnPlan, ColumnTensor, Matrix, SummedTerms};
use crate::plan::cut::{CutLimits, Segment};
use crate::plan::error::CreateError;
use crate::plan::params::{ColumnParams, DimensionParams, MAX_DIMENSIONS};

/// Adds up the rows of a matrix. From the gradient of a layer's input, which a backward pass has
/// just written, this gives the gradient of the layer's bias.
///
/// The sums are `f32` for every type of elements, and add the elements as they are stored. Their
/// bits depend neither on the device, nor on its limits, nor on the run, since the order of
/// additions is fixed and no operation is atomic. First every 64 consecutive rows are added in
/// their order, then these partial sums in 16 chains, then the chains in a tree. The error is at
/// most (64 + rows / 1024 + 6) 2^-23 times the sum of magnitudes.
///
/// Each element is read once. The scratch memory of [`scratch_bytes`](Self::scratch_bytes) is a
/// 64th of an `f32` matrix.
///
/// ```no_run
/// # fn record(device: &wgpu_dropout::wgpu::Device, pass: &mut wgpu_dropout::wgpu::ComputePass<'_>, grad_input: &wgpu_dropout::wgpu::Buffer, scratch: &wgpu_dropout::wgpu::Buffer, grad_bias: &wgpu_dropout::wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_dropout::{ColumnSums, ElementType, KernelDescriptor};
///
/// let sums = ColumnSums::new(device, &KernelDescriptor::default())?;
/// let (rows, columns) = (8 * 1024, 768);
/// assert!(scratch.size() >= ColumnSums::scratch_bytes(rows, columns));
/// let binding = sums.bind(
///     grad_input.as_entire_buffer_binding(),
///     scratch.as_entire_buffer_binding(),
///     grad_bias.as_entire_buffer_binding(),
///     (rows, columns),
///     ElementType::F32,
/// )?;
/// // A second micro-batch adds to the first one's.
/// let accumulate = true;
/// sums.encode(pass, &binding, accumulate);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ColumnSums {
    pub(crate) host: KernelHost,
    limits: CutLimits,
}

/// Checked buffers of one sum, ready for any number of calls; made by [`ColumnSums::bind`]. Its
/// lifetime and its device are as for a [`DropoutBinding`](crate::DropoutBinding).
#[derive(Debug)]
pub struct ColumnSumsBinding(BoundSum);

/// The buffers of a sum's two stages.
#[derive(Debug)]
pub(crate) struct BoundSum {
    tensor: ColumnTensor,
    tiles: Vec<BoundSegment>,
    totals: Vec<BoundSegment>,
}

/// The caller's buffers for a sum.
pub(crate) struct SumBuffers<'a> {
    /// The matrix. For a scale's gradient: the forward's input and the gradient of the output.
    pub inputs: Vec<CheckedRange<'a>>,
    /// Sample ids or a packed mask, and vectors.
    pub sides: Vec<CheckedRange<'a>>,
    pub scratch: wgpu::BufferBinding<'a>,
    pub sums: wgpu::BufferBinding<'a>,
}

impl ColumnSums {
    /// Prepares the kernels for `device`. The device needs no feature, and no limit above
    /// [`wgpu::Limits::downlevel_defaults`].
    ///
    /// # Errors
    ///
    /// [`CreateError::Limit`] if the device's limits are lower than the kernels need.
    pub fn new(
        device: &wgpu::Device,
        descriptor: &KernelDescriptor<'_>,
    ) -> Result<Self, CreateError> {
        // At least two storage buffers. At most six bindings: two inputs, a mask or sample ids,
        // vectors, scratch and a strided layout.
        let host = KernelHost::new(device, descriptor, 2, 6, size_of::<ColumnParams>())?;
        let limits = cut_limits(device);
        Ok(Self { host, limits })
    }

    /// For an audit: the same pipelines as on a device whose dispatches take at most `granules`,
    /// with bindings that show `room_bytes` behind their elements.
    #[cfg(feature = "cpu")]
    pub(crate) fn lowered(&self, granules: u64, room_bytes: u64) -> Self {
        Self {
            host: self.host.with_room(room_bytes),
            limits: self.limits.lowered(granules),
        }
    }

    /// The device the kernels are for.
    pub fn device(&self) -> &wgpu::Device {
        &self.host.device
    }

    /// Returns the way in which dispatches receive their parameters, with the reason if it is not
    /// by immediates. Recording takes 7 to 21 times as long without them.
    pub fn parameter_path(&self) -> ParameterPath {
        self.host.parameter_path
    }

    /// Bytes of the scratch buffer for a matrix, the same for each type, or `u64::MAX` if they pass
    /// that. After the sum its content is of no further use.
    pub const fn scratch_bytes(rows: u64, columns: u32) -> u64 {
        Matrix { rows, columns }.partial_sums().saturating_mul(4)
    }

    /// Binds a `matrix` of (rows, columns) in row-major order, a `scratch` buffer of
    /// [`scratch_bytes`](Self::scratch_bytes), and `sums`, which has 4 bytes for each column.
    /// Requirements and panics as for [`Dropout::bind`](crate::Dropout::bind). Scratch and sums
    /// each lie in a buffer of their own.
    ///
    /// # Errors
    ///
    /// See [`BindError`]; nothing was created then.
    pub fn bind(
        &self,
        matrix: wgpu::BufferBinding<'_>,
        scratch: wgpu::BufferBinding<'_>,
        sums: wgpu::BufferBinding<'_>,
        (rows, columns): (u64, u32),
        element: ElementType,
    ) -> Result<ColumnSumsBinding, BindError> {
        let shape = Matrix { rows, columns };
        let input = self
            .host
            .checked(Role::Input, &matrix, shape.elements(), element.bytes())?;
        let tensor = ColumnTensor {
            element,
            matrix: shape,
            terms: SummedTerms::Stored,
        };
        let buffers = SumBuffers {
            inputs: vec![input],
            sides: Vec::new(),
            scratch,
            sums,
        };
        let bound = self.bind_terms(tensor, buffers, |_| None)?;
        Ok(ColumnSumsBinding(bound))
    }

    /// Binds the terms of a sum. `dimensions` gives the layout for a dispatch.
    pub(crate) fn bind_terms(
        &self,
        tensor: ColumnTensor,
        buffers: SumBuffers<'_>,
        dimensions: impl Fn(Segment) -> Option<[DimensionParams; MAX_DIMENSIONS]>,
    ) -> Result<BoundSum, BindError> {
        let (host, matrix) = (&self.host, tensor.matrix);
        let SumBuffers {
            inputs,
            mut sides,
            scratch,
            sums,
        } = buffers;
        let segments = tensor.segments(self.limits)?;
        let word_bytes = size_of::<f32>() as u64;
        let scratch = host.checked(Role::Scratch, &scratch, matrix.partial_sums(), word_bytes)?;
        let sums = host.checked(Role::Sums, &sums, matrix.columns.into(), word_bytes)?;
        for (written, others) in [
            (
                &scratch,
                &[&inputs[..], &sides, core::slice::from_ref(&sums)],
            ),
            (&sums, &[&inputs[..], &sides, &[]]),
        ] {
            let mut others = others.iter().copied().flatten();
            if others.any(|other| other.same_buffer(written)) {
                return Err(BindError::WrittenBuffer { role: written.role });
            }
            host.check_whole(written)?;
        }
        sides.push(scratch.clone());
        let tiles = host.bind(tensor.any_kernel(), segments, &inputs, &sides, dimensions)?;
        let whole = (matrix.columns > 0).then_some(Segment { start: 0, len: 0 });
        let totals = host.bind(
            Kernel::ColumnTotals,
            whole.into_iter(),
            &[],
            &[scratch, sums],
            |_| None,
        )?;
        Ok(BoundSum {
            tensor,
            tiles,
            totals,
        })
    }

    /// Compiles the pipelines of [`encode`](Self::encode) with this `binding`, so that the first
    /// step does not wait for them.
    pub fn compile(&self, binding: &ColumnSumsBinding) {
        self.compile_sum(&binding.0);
    }

    /// Compiles the pipelines of a sum that needs no call.
    pub(crate) fn compile_sum(&self, bound: &BoundSum) {
        self.compile_plan(&ColumnPlan::stored(&bound.tensor, false));
    }

    /// Compiles the pipelines of a scale's gradient.
    pub(crate) fn compile_call(
        &self,
        bound: &BoundSum,
        call: &DropoutCall,
    ) -> Result<(), CallError> {
        let plan = ColumnPlan::of_call(&bound.tensor, call, false)?;
        self.compile_plan(&plan);
        Ok(())
    }

    fn compile_plan(&self, plan: &ColumnPlan<'_>) {
        self.host.compile(plan.tiles_kernel());
        self.host.compile(Kernel::ColumnTotals);
    }

    /// Records the sums. Each replaces the number in `sums`, or with `accumulate` is added to it.
    /// It sets the same state of the pass as
    /// [`Dropout::encode_forward`](crate::Dropout::encode_forward).
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &ColumnSumsBinding,
        accumulate: bool,
    ) {
        self.encode_sum(pass, &binding.0, accumulate);
    }

    /// Records a sum that needs no call.
    pub(crate) fn encode_sum(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &BoundSum,
        accumulate: bool,
    ) {
        let plan = ColumnPlan::stored(&bound.tensor, accumulate);
        self.encode_plan(pass, bound, &plan);
    }

    /// Records the sums of a scale's gradient.
    pub(crate) fn encode_call(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &BoundSum,
        call: &DropoutCall,
        accumulate: bool,
    ) -> Result<(), CallError> {
        let plan = ColumnPlan::of_call(&bound.tensor, call, accumulate)?;
        self.encode_plan(pass, bound, &plan);
        Ok(())
    }

    fn encode_plan(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bound: &BoundSum,
        plan: &ColumnPlan<'_>,
    ) {
        for tiles in &bound.tiles {
            let params = plan.tiles_params(tiles.segment, tiles.first_word);
            self.host.dispatch(
                pass,
                plan.tiles_kernel(),
                &tiles.group,
                bytemuck::bytes_of(&params),
                plan.tiles_workgroups(tiles.segment) * WORKGROUP_SIZE,
            );
        }
        for totals in &bound.totals {
            self.host.dispatch(
                pass,
                Kernel::ColumnTotals,
                &totals.group,
                bytemuck::bytes_of(&plan.totals_params()),
                plan.totals_workgroups() * WORKGROUP_SIZE,
            );
        }
    }
}
