//! Faults in what the host records and binds.

use super::Case;
use super::texts::{is_dropout, is_noise, is_packed};
use crate::contract::effect::Effect;
use crate::host::faults::{Dispatch, Fault, Window};
use crate::kernel::axes::{Access, Family, IndexKind, Kernel, Role};

/// Offsets in `MaskParams`, in words.
const SEED: usize = 0;
const STREAM: usize = 2;
const FIRST_INDEX: usize = 4;
const THRESHOLD_HIGH: usize = 6;
const THRESHOLD_LOW: usize = 7;
const KEEP_SCALE: usize = 8;
const KEEP_SHIFT: usize = 9;
const DROPPED_VALUE: usize = 10;
const SIGMA: usize = 11;
const LEN: usize = 12;
const FIRST_WORD: usize = 13;
const FIRST_BLOCK: usize = 14;

fn draws_masks(dispatch: &Dispatch) -> bool {
    !matches!(dispatch.kernel, Kernel::PhiloxBlocks { .. })
}

pub(super) const HOST: &[Case] = &[
    (
        "the second dispatch of a kernel keeps the first one's parameters",
        Fault::Dispatch(|dispatch, last| {
            if let Some(last) = last.filter(|last| last.kernel == dispatch.kernel) {
                dispatch.params.clone_from(&last.params);
            }
        }),
    ),
    (
        "a stream has no upper half",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) {
                dispatch.params[STREAM + 1] = 0;
            }
        }),
    ),
    (
        "a block number has no upper half",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) {
                dispatch.params[FIRST_BLOCK + 1] = 0;
            }
        }),
    ),
    (
        "the first index's remainder is 2 in place of 6",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) && dispatch.params[FIRST_INDEX] % 8 == 6 {
                dispatch.params[FIRST_INDEX] -= 4;
            }
        }),
    ),
    (
        "a first index has no upper half",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) {
                dispatch.params[FIRST_INDEX + 1] = 0;
            }
        }),
    ),
    (
        "a seed's halves are exchanged",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) {
                dispatch.params.swap(SEED, SEED + 1);
            }
        }),
    ),
    (
        "D's upper half is one too small where all is dropped",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) && dispatch.params[THRESHOLD_HIGH] == 1 << 16 {
                dispatch.params[THRESHOLD_HIGH] -= 1;
            }
        }),
    ),
    (
        "a packed mask begins a word late where its window begins before it",
        Fault::Dispatch(|dispatch, _| {
            if is_packed(dispatch.kernel) && dispatch.params[FIRST_WORD] != 0 {
                dispatch.params[FIRST_WORD] -= 1;
            }
        }),
    ),
    (
        "noise is a twentieth too strong",
        Fault::Dispatch(|dispatch, _| {
            if is_noise(dispatch.kernel) {
                let sigma = f32::from_bits(dispatch.params[SIGMA]);
                dispatch.params[SIGMA] = (sigma * 1.05).to_bits();
            }
        }),
    ),
    (
        "noise backward is inverted dropout",
        Fault::Dispatch(|dispatch, _| {
            if let Kernel::Dropout {
                effect,
                mask: IndexKind::Linear,
                ..
            } = &mut dispatch.kernel
                && *effect == Effect::Noise
            {
                *effect = Effect::Scale;
            }
        }),
    ),
    (
        "the length is one short",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) && dispatch.params[LEN] % 8 == 5 {
                dispatch.params[LEN] -= 1;
            }
        }),
    ),
    (
        "the length is one too long",
        Fault::Dispatch(|dispatch, _| {
            if is_dropout(dispatch.kernel) {
                dispatch.params[LEN] += 1;
            }
        }),
    ),
    (
        "D is one too large",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) {
                dispatch.params[THRESHOLD_LOW] ^= 1;
            }
        }),
    ),
    (
        "the factor is a unit in the last place too large",
        Fault::Dispatch(|dispatch, _| {
            if is_dropout(dispatch.kernel) {
                dispatch.params[KEEP_SCALE] += 1;
            }
        }),
    ),
    (
        "alpha dropout does not shift",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) {
                dispatch.params[KEEP_SHIFT] = 0;
            }
        }),
    ),
    (
        "alpha dropout drops to a value a unit in the last place off",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) && dispatch.params[DROPPED_VALUE] != 0 {
                dispatch.params[DROPPED_VALUE] += 1;
            }
        }),
    ),
    (
        "alpha's gradients are shifted too",
        Fault::Dispatch(|dispatch, _| {
            let shifts = draws_masks(dispatch) && dispatch.params[KEEP_SHIFT] != 0;
            if let Kernel::Dropout { effect, .. } = &mut dispatch.kernel
                && shifts
                && *effect == Effect::Scale
            {
                *effect = Effect::Affine;
            }
        }),
    ),
    (
        "the last workgroup is forgotten where there are nine or more",
        Fault::Dispatch(|dispatch, _| {
            let per_workgroup = dispatch.kernel.per_workgroup();
            if dispatch.units > 8 * per_workgroup {
                dispatch.units -= per_workgroup;
            }
        }),
    ),
    (
        "blocks are taken whole where they are not",
        Fault::Dispatch(|dispatch, _| {
            if let Kernel::Dropout {
                mask: IndexKind::Linear,
                access: access @ Access::Vectors,
                effect,
                ..
            } = &mut dispatch.kernel
                && *effect != Effect::Copy
                && dispatch.params[LEN].is_multiple_of(8)
            {
                *access = Access::Blocks;
            }
        }),
    ),
    (
        "rows are taken for whole words",
        Fault::Dispatch(|dispatch, _| {
            if let Kernel::Dropout {
                mask: IndexKind::Strided(strided),
                ..
            } = &mut dispatch.kernel
                && let Family::Rows { whole_words } = &mut strided.family
            {
                *whole_words = true;
            }
        }),
    ),
    (
        "copies are classic dropout",
        Fault::Dispatch(|dispatch, _| {
            if let Kernel::Dropout {
                effect,
                mask: IndexKind::Linear,
                ..
            } = &mut dispatch.kernel
                && *effect == Effect::Copy
            {
                *effect = Effect::Keep;
                dispatch.params[THRESHOLD_HIGH] = 1;
            }
        }),
    ),
    (
        "an output begins an alignment late",
        Fault::Windows(|windows| {
            if let Some(output) = window(windows, Role::Output) {
                output.offset += 256;
            }
        }),
    ),
    (
        "input and output are exchanged",
        Fault::Windows(|windows| {
            if let [(Role::Input, input), (Role::Output, output), ..] = windows
                && input.buffer == output.buffer
            {
                core::mem::swap(&mut input.offset, &mut output.offset);
            }
        }),
    ),
    (
        "a window lacks its last word",
        Fault::Windows(|windows| {
            for (role, binding) in windows {
                if *role != Role::Dimensions {
                    let shorter = binding.size.map(|size| size.get() - 4);
                    binding.size = shorter.and_then(wgpu::BufferSize::new).or(binding.size);
                }
            }
        }),
    ),
    (
        "sample ids are another batch's",
        Fault::Windows(|windows| {
            if let Some(ids) = window(windows, Role::SampleIds)
                && ids.offset >= 512
            {
                ids.offset -= 256;
            }
        }),
    ),
    (
        "data is taken from the range before it",
        Fault::Windows(|windows| {
            if let Some(data) = window(windows, Role::Data)
                && data.offset >= 512
            {
                data.offset -= 256;
            }
        }),
    ),
    (
        "a packed mask's window begins an alignment early",
        Fault::Windows(|windows| {
            if let [(Role::Input | Role::Data, _), .., (Role::Mask, mask)] = windows
                && mask.offset >= 256
            {
                mask.offset -= 256;
            }
        }),
    ),
    (
        "a layout begins at the innermost dimension's 0",
        Fault::Dimensions(|dimensions| dimensions[7].start = 0),
    ),
    (
        "a layout begins at the second dimension's 0",
        Fault::Dimensions(|dimensions| dimensions[6].start = 0),
    ),
    (
        "a sample begins at 0",
        Fault::Dimensions(|dimensions| dimensions[0].start = 0),
    ),
    (
        "the third dimension's stride has no upper half",
        Fault::Dimensions(|dimensions| dimensions[5].stride[1] = 0),
    ),
    (
        "the sixth dimension is one too large",
        Fault::Dimensions(|dimensions| {
            if dimensions[5].size > 1 {
                dimensions[5].size += 1;
            }
        }),
    ),
    (
        "a dimension's multiplier is one too small",
        Fault::Dimensions(|dimensions| dimensions[7].multiplier -= 1),
    ),
];

fn window<'a, 'b>(
    windows: &'a mut [Window<'b>],
    wanted: Role,
) -> Option<&'a mut wgpu::BufferBinding<'b>> {
    let found = windows.iter_mut().find(|(role, _)| *role == wanted);
    found.map(|(_, window)| window)
}
