//! Which operations become one kernel.

use burn::backend::fusion::custom::{CustomOpIr, OperationIr, ScalarIr};
use burn::backend::fusion::{FuserProperties, FuserStatus, OperationFuser};
use burn::backend::ir::{BaseOperationIr, CastOpIr, FloatOperationIr};
use burn::tensor::Shape;
use burn_cubecl::CubeDevice;
use burn_cubecl::fusion::{CubeOptimization, FusedOperation};
use burn_cubecl_fusion::engine::codegen::ir::FuseOp;
use burn_cubecl_fusion::engine::fuser::TraceOperationFuser;
use burn_cubecl_fusion::engine::settings::{FuseSettings, RefLayoutSetting};
use burn_cubecl_fusion::engine::trace::block::FuseBlock;

use super::described::variant;
use super::execution::{DropoutFusion, DropoutFusionState, Site};

/// Collects element-wise operations, and dropouts of tensors that all have one shape.
#[derive(Clone)]
pub(super) struct DropoutFuser {
    device: CubeDevice,
    trace: TraceOperationFuser,
    sites: Vec<Site>,
    /// The shape of the dropouts' tensors, by Burn's relative numbers.
    shape: Option<Shape>,
    /// Operations that are neither dropout nor the end of a tensor.
    others: usize,
    /// True if the first operation is a matrix product, which is launched before the kernel. Burn
    /// forms one block from a product and the operations on its result, so that dropout behind a
    /// product is fused by a fuser that takes both or by none.
    product: bool,
    status: FuserStatus,
}

impl DropoutFuser {
    pub(super) fn new(device: CubeDevice) -> Self {
        let settings = FuseSettings {
            // A position in the reference is then the element's number, from which its mask index
            // follows.
            ref_layout: RefLayoutSetting::OnlyContiguous,
            ..FuseSettings::default()
        };
        let max_bindings = device.client().properties().hardware.max_bindings;
        Self {
            trace: TraceOperationFuser::new(max_bindings, settings),
            device,
            sites: Vec::new(),
            shape: None,
            others: 0,
            product: false,
            status: FuserStatus::Open,
        }
    }

    /// The trace with one more operation, and its block. `None` if the engine does not take the
    /// operation, or if the kernel would no longer visit the dropouts' elements once each.
    fn with(&self, operation: &OperationIr) -> Option<(TraceOperationFuser, FuseBlock)> {
        let mut trace = self.trace.clone();
        trace.fuse(operation);
        if trace.status() == FuserStatus::Closed {
            return None;
        }
        let block = trace.clone().finish().blocks.pop()?;
        let fits = self
            .shape
            .as_ref()
            .is_none_or(|shape| *shape == block.shape_ref);
        fits.then_some((trace, block))
    }

    /// Takes dropout for a cast to the same type, whose place in the trace it has.
    fn take_dropout(&mut self, operation: &CustomOpIr) -> Option<()> {
        let ([input], [out]) = (&operation.inputs[..], &operation.outputs[..]) else {
            return None;
        };
        let cast = CastOpIr {
            input: input.clone(),
            out: out.clone(),
        };
        let cast = OperationIr::BaseFloat(BaseOperationIr::Cast(cast));
        let (trace, block) = self.with(&cast)?;
        if block.shape_ref != out.shape {
            return None;
        }
        let Some(FuseOp::Assign(local)) = block.ops.last() else {
            return None;
        };
        variant(&operation.id, local.out.precision())?;
        // In the form that fusers see, a number is the key to its value.
        let keys = operation.scalars.iter().map(|scalar| match scalar {
            ScalarIr::UInt(key) => Some(*key),
            _ => None,
        });
        self.sites.push(Site {
            name: operation.id.clone(),
            keys: keys.collect::<Option<_>>()?,
            output: local.out.clone(),
        });
        self.trace = trace;
        self.shape = Some(block.shape_ref);
        Some(())
    }

    fn take_other(&mut self, operation: &OperationIr) -> Option<()> {
        let (trace, _) = self.with(operation)?;
        self.trace = trace;
        if !matches!(operation, OperationIr::Drop(_)) {
            self.others += 1;
        }
        Some(())
    }
}

impl OperationFuser<CubeOptimization> for DropoutFuser {
    fn fuse(&mut self, operation: &OperationIr) {
        if self.status == FuserStatus::Closed {
            return;
        }
        let taken = match operation {
            OperationIr::Float(_, FloatOperationIr::Matmul(_)) if self.is_empty() => {
                self.product = true;
                Some(())
            }
            OperationIr::Custom(operation) => self.take_dropout(operation),
            // A matrix product with other operations is for Burn's own fuser. Burn would fuse nothing
            // of a block that this one keeps open in vain.
            _ if self.product && self.sites.is_empty() => None,
            _ => self.take_other(operation),
        };
        if taken.is_none() {
            self.status = FuserStatus::Closed;
        }
    }

    fn finish(&mut self) -> CubeOptimization {
        let state = DropoutFusionState {
            trace: self.trace.finish(),
            sites: self.sites.clone(),
            product: self.product,
            alone: self.sites.len() + self.others < 2,
            len: self.len(),
        };
        CubeOptimization::new(DropoutFusion::from_state(&self.device, state))
    }

    fn reset(&mut self) {
        *self = Self::new(self.device.clone());
    }

    fn status(&self) -> FuserStatus {
        self.status
    }

    fn properties(&self) -> FuserProperties {
        FuserProperties {
            ready: !self.sites.is_empty(),
            // Burn uses no fuser that scores 0. Dropout alone does, but would then be settled
            // together with the operation that ended its block.
            score: self.trace.properties().score.max(1),
        }
    }

    fn len(&self) -> usize {
        self.trace.len() + usize::from(self.product)
    }

    fn clone_dyn(&self) -> Box<dyn OperationFuser<CubeOptimization>> {
        Box::new(self.clone())
    }
}
