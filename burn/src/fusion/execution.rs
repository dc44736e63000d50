//! The launch of a fused kernel.

use core::convert::Infallible;
use std::collections::BTreeMap;

use burn::backend::fusion::stream::{Context, ScalarId};
use burn::backend::ir::{ScalarIr, TensorId, TensorIr};
use burn::serde::{Deserialize, Serialize};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::ir::VectorSize;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim};
use burn_cubecl::fusion::{CubeFusionHandle, FallbackOperation, FusedOperation};
use burn_cubecl_fusion::engine::codegen::ir::{
    FuseArg, FuseBlockConfig, FuseOp, GlobalArgsLaunch, RefLayout,
};
use burn_cubecl_fusion::engine::launch::FuseTraceLauncher;
use burn_cubecl_fusion::engine::launch::runner::{
    TraceRunner, Vectorization, VectorizationAxis, VectorizationHandle,
};
use burn_cubecl_fusion::engine::launch::vectorization::Vect;
use burn_cubecl_fusion::engine::trace::FuseTrace;
use burn_cubecl_fusion::optim::elemwise::ElemwiseRunner;

use super::described::{source, variant};
use crate::kernel::dropout::{Variant, WORKGROUP_SIZE};
use crate::kernel::groups::{GROUP, GROUPS};
use crate::kernel::traced::{Step, traced};

/// One dropout of a kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(crate = "burn::serde")]
pub(super) struct Site {
    /// The registered operation's name.
    pub name: String,
    /// The keys of its numbers.
    pub keys: Vec<u64>,
    /// The variable that the engine would assign the input to, if dropout were a cast.
    pub output: FuseArg,
}

/// Element-wise operations and dropouts as one kernel, after a matrix product if there is one.
pub(super) struct DropoutFusion {
    client: Client,
    device: CubeDevice,
    state: DropoutFusionState,
    /// The sites' options.
    variants: Vec<Variant>,
}

/// All but the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(crate = "burn::serde")]
pub(super) struct DropoutFusionState {
    pub trace: FuseTrace,
    pub sites: Vec<Site>,
    /// True if the first operation is a matrix product, of which the trace reads the result.
    pub product: bool,
    /// True for one dropout without a neighbour, which is faster in its own kernel.
    pub alone: bool,
    /// The number of operations.
    pub len: usize,
}

impl FusedOperation for DropoutFusion {
    const NAME: &'static str = "wgpu_dropout";
    type State = DropoutFusionState;

    fn num_ops_fused(&self) -> usize {
        self.state.len
    }

    fn max_relative_shape_id(&self) -> Option<usize> {
        self.state.trace.max_relative_shape_id()
    }

    fn run(
        &mut self,
        context: &mut Context<CubeFusionHandle>,
        fallback: &dyn Fn(usize) -> Box<dyn FallbackOperation>,
    ) {
        let unfused = match (self.state.alone, self.state.product) {
            (true, _) => self.state.len,
            (false, product) => usize::from(product),
        };
        for operation in 0..unfused {
            fallback(operation).run(context);
        }
        if self.state.alone {
            return;
        }
        let number = |key: &u64| match context.scalars.get(&ScalarId { value: *key }) {
            Some(ScalarIr::UInt(number)) => *number,
            other => panic!("number {key} of dropout is {other:?}"),
        };
        let numbers = |site: &Site| site.keys.iter().map(number).collect();
        let runner = Runner {
            sites: &self.state.sites,
            variants: &self.variants,
            numbers: self.state.sites.iter().map(numbers).collect(),
        };
        let launcher = FuseTraceLauncher::new(&self.state.trace, &runner);
        if let Err(error) = launcher.launch(&self.client, &self.device, context) {
            panic!("{error:?}");
        }
    }

    fn to_state(&self) -> Self::State {
        self.state.clone()
    }

    fn from_state(device: &CubeDevice, state: Self::State) -> Self {
        let variant = |site: &Site| {
            variant(&site.name, site.output.precision()).expect("the fuser has read this name")
        };
        Self {
            client: device.client(),
            device: device.clone(),
            variants: state.sites.iter().map(variant).collect(),
            state,
        }
    }
}

struct Runner<'a> {
    sites: &'a [Site],
    variants: &'a [Variant],
    /// The numbers of each site.
    numbers: Vec<Vec<u64>>,
}

impl Vectorization for Runner<'_> {
    fn vectorization<'a>(
        &self,
        context: &Context<CubeFusionHandle>,
        vectorizations: &mut BTreeMap<TensorId, Vect>,
        inputs: impl Iterator<Item = VectorizationHandle<'a>>,
        outputs: impl Iterator<Item = &'a TensorIr>,
        reshaped: impl Iterator<Item = (&'a TensorIr, &'a TensorIr, bool)>,
        swapped: impl Iterator<Item = (&'a TensorIr, &'a TensorIr, bool, &'a (usize, usize))>,
        vector_sizes: &[VectorSize],
        max: VectorSize,
        axis: VectorizationAxis,
    ) {
        // A vector has no more elements than a group.
        let sizes = vector_sizes.iter().copied();
        let sizes: Vec<_> = sizes.filter(|size| *size <= GROUP as usize).collect();
        ElemwiseRunner.vectorization(
            context,
            vectorizations,
            inputs,
            outputs,
            reshaped,
            swapped,
            &sizes,
            max,
            axis,
        );
    }
}

impl TraceRunner for Runner<'_> {
    /// There is none.
    type Error = Infallible;

    fn run<'a>(
        &'a self,
        client: &'a Client,
        inputs: GlobalArgsLaunch,
        outputs: GlobalArgsLaunch,
        configs: &'a [FuseBlockConfig],
    ) -> Result<(), Infallible> {
        let config = &configs[0];
        let of_outputs = matches!(config.ref_layout, RefLayout::Concrete(FuseArg::Output(..)));
        let arguments = if of_outputs { &outputs } else { &inputs };
        let shape = arguments.shape_ref(&config.ref_layout, config.rank);
        // A part has fewer than 2^32 elements.
        let elements = shape.num_elements() as u32;
        let workgroups = elements.div_ceil(GROUP * GROUPS * WORKGROUP_SIZE);
        let address_type = inputs
            .required_address_type()
            .max(outputs.required_address_type());
        let (steps, last) = self.steps(config);
        // SAFETY: the kernel's loops end, and it visits the positions of the reference alone.
        #[expect(unsafe_code, reason = "a check for each load costs")]
        unsafe {
            traced::launch_unchecked(
                client,
                CubeCount::Static(workgroups, 1, 1),
                CubeDim::new_1d(WORKGROUP_SIZE),
                address_type,
                inputs,
                outputs,
                self.numbers.iter().map(|numbers| source(numbers)).collect(),
                elements / config.width as u32,
                steps,
                last,
            );
        }
        Ok(())
    }
}

impl Runner<'_> {
    /// Cuts the operations where there is a dropout, and returns those after the last one too.
    fn steps(&self, config: &FuseBlockConfig) -> (Vec<Step>, FuseBlockConfig) {
        let mut rest = config.clone();
        let mut steps = Vec::new();
        for (site, variant) in self.sites.iter().zip(self.variants) {
            let mut before = rest.clone();
            let place = rest.ops.iter().position(
                |operation| matches!(operation, FuseOp::Assign(cast) if cast.out == site.output),
            );
            rest.ops = before.ops.split_off(place.expect("the fuser put it there"));
            let FuseOp::Assign(cast) = rest.ops.remove(0) else {
                unreachable!("it is a cast");
            };
            steps.push(Step {
                before,
                input: cast.input,
                output: cast.out,
                variant: *variant,
            });
        }
        (steps, rest)
    }
}
