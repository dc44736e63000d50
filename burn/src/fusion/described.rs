//! Dropout in the form in which a fuser sees it: a name that tells which kernel it takes, and the
//! kernel's numbers.

use core::any::Any;

use burn::backend::fusion::custom::ScalarIr;
use burn::tensor::DType;
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl_fusion::engine::codegen::ir::FuseType;
use wgpu_dropout::launch::{Decisions, Part};
use wgpu_dropout::{Direction, DropoutCall, Effect, ElementType, MaskLayout};

use super::OPAQUE;
use crate::cube::parts;
use crate::kernel::dropout::Variant;
use crate::kernel::index::DimensionLaunch;
use crate::kernel::mask::MaskLaunch;
use crate::kernel::philox::wide;
use crate::kernel::traced::SourceLaunch;
use crate::operation::element_type;

/// Numbers of a mask, and of one dimension of its layout.
const MASK: usize = 6;
const DIMENSION: usize = 3;

const EFFECTS: [Effect; 4] = [Effect::Scale, Effect::Keep, Effect::Affine, Effect::Noise];
const DECISIONS: [Decisions; 4] = [
    Decisions::Blocks,
    Decisions::Rows,
    Decisions::Runs,
    Decisions::Scattered,
];

/// The operation's name and numbers.
pub(super) fn described(
    device: &dyn Any,
    layout: &MaskLayout,
    dtype: DType,
    call: &DropoutCall,
    direction: Direction,
) -> (String, Vec<ScalarIr>) {
    // Other backends have no such fuser.
    let part = device.downcast_ref().and_then(|device: &CubeDevice| {
        // Callers have checked the type.
        let element = element_type(dtype).unwrap_or_else(|error| panic!("{error}"));
        only_part(&device.client(), layout, element, call)
    });
    let Some(part) = part else {
        return (OPAQUE.into(), Vec::new());
    };
    let effect = Effect::of(call.kind, direction);
    let mask = &part.mask;
    let consecutive = part.dimensions.is_empty();
    let decisions = match part.decisions {
        // The last elements may be a part of their block.
        Decisions::Rows if consecutive && mask.first_index_low.is_multiple_of(8) => {
            Decisions::Blocks
        }
        decisions => decisions,
    };
    let name = format!("{OPAQUE} {effect:?} {decisions:?}");
    let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let mask_numbers: [u64; MASK] = [
        pair(mask.seed_low, mask.seed_high),
        pair(mask.stream_low, mask.stream_high),
        pair(mask.first_index_low, mask.first_index_high),
        pair(mask.threshold_low, mask.threshold_high),
        pair(mask.keep_scale.to_bits(), mask.keep_shift.to_bits()),
        pair(mask.dropped_value.to_bits(), mask.sigma.to_bits()),
    ];
    let dimensions = part.dimensions.iter().flat_map(|dimension| {
        let numbers: [u64; DIMENSION] = [
            pair(dimension.size, dimension.start),
            dimension.stride,
            pair(dimension.multiplier, dimension.shift),
        ];
        numbers
    });
    let numbers = mask_numbers.into_iter().chain(dimensions);
    (name, numbers.map(ScalarIr::UInt).collect())
}

/// The part that is the whole tensor, unless there are none or several.
fn only_part(
    client: &Client,
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
) -> Option<Part> {
    let mut parts = parts(client, layout, element, call).unwrap_or_else(|error| panic!("{error}"));
    let part = parts.next()?;
    parts.next().is_none().then_some(part)
}

/// The kernel's options for an operation of this name on elements of this type. `None` if the
/// operation is no dropout that can be fused.
pub(super) fn variant(name: &str, element: FuseType) -> Option<Variant> {
    let mut words = name.strip_prefix(OPAQUE)?.split_whitespace();
    let (effect, decisions) = (words.next()?, words.next()?);
    Some(Variant {
        element: match element {
            FuseType::F32 | FuseType::Flex32 => ElementType::F32,
            FuseType::F16 => ElementType::F16,
            FuseType::BF16 => ElementType::Bf16,
            _ => return None,
        },
        effect: EFFECTS
            .into_iter()
            .find(|known| format!("{known:?}") == effect)?,
        decisions: DECISIONS
            .into_iter()
            .find(|known| format!("{known:?}") == decisions)?,
    })
}

/// The kernel's arguments from an operation's numbers.
pub(super) fn source(numbers: &[u64]) -> SourceLaunch {
    let (mask, dimensions) = numbers.split_at(MASK);
    let low = |number: u64| number as u32;
    let high = |number: u64| (number >> 32) as u32;
    let dimensions = dimensions.chunks_exact(DIMENSION).map(|dimension| {
        DimensionLaunch::new(
            low(dimension[0]),
            high(dimension[0]),
            wide(dimension[1]),
            low(dimension[2]),
            high(dimension[2]),
        )
    });
    let mask = MaskLaunch::new(
        wide(mask[0]),
        wide(mask[1]),
        wide(mask[2]),
        high(mask[3]),
        low(mask[3]),
        f32::from_bits(low(mask[4])),
        f32::from_bits(high(mask[4])),
        f32::from_bits(low(mask[5])),
        f32::from_bits(high(mask[5])),
    );
    SourceLaunch::new(mask, dimensions.collect())
}
