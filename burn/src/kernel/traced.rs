//! Dropout between the element-wise operations of a trace of Burn's fusion.

use burn_cubecl::cubecl;
use burn_cubecl_fusion::engine::codegen::io::{read, write};
use burn_cubecl_fusion::engine::codegen::ir::{FuseArg, FuseBlockConfig, GlobalArgs, LocalArgs};
use burn_cubecl_fusion::engine::codegen::kernel::{fuse_on_write, init_locals};
use cubecl::prelude::*;
use wgpu_dropout::Effect;
use wgpu_dropout::launch::Decisions;

use super::dropout::{Variant, WORKGROUP_SIZE, keep_in_turn, lanes};
use super::element::{bits_of, float};
use super::groups::{Draw, GROUP, GROUPS, keep_groups, rounded};
use super::index::{Dimension, element_index};
use super::mask::{Mask, block_of, keep_blocks};
use super::noise::{normal_at, normal_block_of, normals};

/// The mask of one dropout, and the indices of its elements.
#[derive(CubeType, CubeLaunch, Clone)]
#[expand(derive(Clone))]
pub(crate) struct Source {
    pub mask: Mask,
    pub dimensions: Sequence<Dimension>,
}

/// One dropout and the operations between it and the one before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    /// The operations before dropout.
    pub before: FuseBlockConfig,
    pub input: FuseArg,
    pub output: FuseArg,
    pub variant: Variant,
}

/// Runs `steps`, then `last`. `len` is the number of the reference's vectors. Vectors have 1, 2, 4
/// or 8 elements, and the reference is contiguous, so the lane l of the vector v is the element
/// `v * width + l`.
#[allow(clippy::needless_range_loop, reason = "a loop that is unrolled counts")]
#[cube(launch_unchecked, address_type = "dynamic")]
pub(crate) fn traced(
    inputs: &GlobalArgs,
    outputs: &mut GlobalArgs,
    sources: &Sequence<Source>,
    len: u32,
    #[comptime] steps: Vec<Step>,
    #[comptime] last: FuseBlockConfig,
) {
    let width = comptime!(last.width as u32);
    let vectors = comptime!(GROUP / width);
    // An invocation's groups are WORKGROUP_SIZE groups apart, so that neighbouring invocations load
    // neighbouring memory.
    let first = GROUPS * WORKGROUP_SIZE * (CUBE_POS as u32) + UNIT_POS;
    let mut keeps = Sequence::<u32>::new();
    #[unroll]
    for s in 0..comptime!(steps.len()) {
        let variant = comptime!(steps[s].variant);
        keeps.push(keep_of_groups(sources.index(s), first, variant));
    }
    let mut locals = init_locals(inputs, outputs, &last);
    for g in 0..GROUPS {
        let group = first + g * WORKGROUP_SIZE;
        #[unroll]
        for v in 0..vectors {
            let position = group * vectors + v;
            if position < len {
                let shift = 8u32 * g + comptime!(v * width);
                #[unroll]
                for s in 0..comptime!(steps.len()) {
                    run_step(
                        inputs,
                        outputs,
                        &mut locals,
                        sources.index(s),
                        position,
                        *keeps.index(s) >> shift,
                        comptime!(steps[s].clone()),
                    );
                }
                run_operations(
                    inputs,
                    outputs,
                    &mut locals,
                    position,
                    comptime!(last.clone()),
                );
            }
        }
    }
}

/// The decisions of the groups of an invocation, whose first one is `first`, one byte for each.
#[cube]
fn keep_of_groups(source: &Source, first: u32, #[comptime] variant: Variant) -> u32 {
    let a = GROUP * first;
    let step = GROUP * WORKGROUP_SIZE;
    let b = a + step;
    let c = b + step;
    let d = c + step;
    let mask = &source.mask;
    let dimensions = &source.dimensions;
    let count = comptime!(dimensions.len());
    if comptime!(variant.effect == Effect::Noise) {
        0u32.runtime()
    } else if comptime!(variant.decisions == Decisions::Blocks) {
        keep_blocks(
            mask,
            block_of(element_index(mask, dimensions, a)),
            block_of(element_index(mask, dimensions, b)),
            block_of(element_index(mask, dimensions, c)),
            block_of(element_index(mask, dimensions, d)),
        )
    } else if comptime!(count == 0) {
        keep_groups(mask, a, b, c, d, Draw::Halves)
    } else {
        let mut keep = 0u32;
        for g in 0..GROUPS {
            let decisions = comptime!(variant.decisions);
            keep |= keep_in_turn(mask, dimensions, a + g * step, GROUP, decisions) << (8u32 * g);
        }
        keep
    }
}

#[cube]
fn run_operations(
    inputs: &GlobalArgs,
    outputs: &mut GlobalArgs,
    locals: &mut LocalArgs,
    position: u32,
    #[comptime] config: FuseBlockConfig,
) {
    let size!(N) = config.width;
    let values = Registry::<FuseArg, Vector<f32, N>>::new();
    let none = comptime![Vec::<FuseArg>::new()];
    fuse_on_write::<f32, N>(
        inputs,
        outputs,
        locals,
        position as usize,
        values,
        none,
        &config,
    );
}

/// The bits of `keep` are the decisions from the vector's first lane on.
#[cube]
#[allow(
    clippy::too_many_arguments,
    reason = "the engine's own four, and dropout's"
)]
fn run_step(
    inputs: &GlobalArgs,
    outputs: &mut GlobalArgs,
    locals: &mut LocalArgs,
    source: &Source,
    position: u32,
    keep: u32,
    #[comptime] step: Step,
) {
    let config = comptime!(step.before.clone());
    run_operations(inputs, outputs, locals, position, comptime!(config.clone()));
    let size!(N) = config.width;
    let at = position as usize;
    let input = comptime!(step.input.clone());
    // 16-bit elements become f32 without rounding.
    let x = read::<f32, N>(inputs, &*outputs, &*locals, at, input, &config);
    let variant = comptime!(step.variant);
    let y = if comptime!(variant.effect == Effect::Noise) {
        let noise = noise_of::<N>(source, position, comptime!(variant.decisions));
        let factor = Vector::new(1.0f32) + Vector::new(source.mask.sigma) * noise;
        rounded(x * factor, variant.element)
    } else {
        dropped_out(x, &source.mask, lanes::<N>(keep, 1u32), variant)
    };
    let output = comptime!(step.output.clone());
    write::<f32, N>(inputs, outputs, locals, at, y, output, &config);
}

/// The elements after dropout, each a number of the variant's type. They are selected on bits
/// \[M12\], which also keeps a compiler from contracting the product and a sum after it.
#[cube]
fn dropped_out<N: Size>(
    x: Vector<f32, N>,
    mask: &Mask,
    keep: Vector<bool, N>,
    #[comptime] variant: Variant,
) -> Vector<f32, N> {
    let element = comptime!(variant.element);
    if comptime!(variant.effect == Effect::Keep) {
        float(select_many(keep, bits_of(x), Vector::new(0u32)))
    } else {
        let scaled = x * Vector::new(mask.keep_scale);
        if comptime!(variant.effect == Effect::Affine) {
            let kept = rounded(scaled + Vector::new(mask.keep_shift), element);
            let dropped = rounded(Vector::new(mask.dropped_value), element);
            float(select_many(keep, bits_of(kept), bits_of(dropped)))
        } else {
            let kept = rounded(scaled, element);
            float(select_many(keep, bits_of(kept), Vector::new(0u32)))
        }
    }
}

/// The noise of the vector at `position`.
#[cube]
fn noise_of<N: Size>(
    source: &Source,
    position: u32,
    #[comptime] decisions: Decisions,
) -> Vector<f32, N> {
    let width = N::value();
    let mask = &source.mask;
    let dimensions = &source.dimensions;
    let first = position * comptime!(width as u32);
    let mut noise = Vector::<f32, N>::empty();
    if comptime!(width == 4 && decisions == Decisions::Blocks) {
        let block = normal_block_of(element_index(mask, dimensions, first));
        let numbers = normals(mask, block);
        noise.insert(0usize, numbers.x);
        noise.insert(1usize, numbers.y);
        noise.insert(2usize, numbers.z);
        noise.insert(3usize, numbers.w);
    } else {
        #[unroll]
        for lane in 0..width {
            let element = first + comptime!(lane as u32);
            noise.insert(
                lane,
                normal_at(mask, element_index(mask, dimensions, element)),
            );
        }
    }
    noise
}
