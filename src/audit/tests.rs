//! The auditor finds what is wrong with a device, and nothing wrong with a right one.

use core::ops::ControlFlow;
use std::collections::HashSet;
use std::env;
use std::sync::{Mutex, PoisonError};

use super::faults::{Dispatch, Fault};
use super::kernels::{Candidate, Load, candidates, cover, dispatched, is_pair};
use super::run::Run;
use super::*;
use crate::ElementType;
use crate::source::{
    Access, BufferLayout, Family, Kernel, MaskSource, Multiply, ParamsSource, ValueMap,
};

/// A name and the fault.
type Case = (&'static str, Fault);

fn all(_: Kernel) -> bool {
    true
}

fn mask_of(kernel: Kernel) -> Option<MaskSource> {
    match kernel {
        Kernel::Dropout { mask, .. } | Kernel::KeepMask(mask) => Some(mask),
        _ => None,
    }
}

fn is_dropout(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Dropout { .. })
}

fn is_strided(kernel: Kernel) -> bool {
    is_dropout(kernel) && matches!(mask_of(kernel), Some(MaskSource::Strided(_)))
}

fn is_packed(kernel: Kernel) -> bool {
    mask_of(kernel) == Some(MaskSource::Packed)
}

fn has_ids(kernel: Kernel) -> bool {
    matches!(mask_of(kernel), Some(MaskSource::Strided(strided)) if strided.sample_ids)
}

fn has_16_bits(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Dropout { element, .. } if element != ElementType::F32)
}

fn is_f32(kernel: Kernel) -> bool {
    is_dropout(kernel) && !has_16_bits(kernel)
}

fn buffers(kernel: Kernel) -> Option<BufferLayout> {
    match kernel {
        Kernel::Dropout { buffers, .. } | Kernel::Gaussian { buffers } => Some(buffers),
        _ => None,
    }
}

fn access(kernel: Kernel) -> Option<Access> {
    match kernel {
        Kernel::Dropout { access, .. } => Some(access),
        _ => None,
    }
}

fn value(kernel: Kernel) -> Option<ValueMap> {
    match kernel {
        Kernel::Dropout { value, .. } => Some(value),
        _ => None,
    }
}

const fn text(
    name: &'static str,
    of: fn(Kernel) -> bool,
    from: &'static str,
    to: &'static str,
) -> Case {
    (name, Fault::Text { from, to, of })
}

/// Where the words of `MaskParams` are.
const STREAM: usize = 2;
const FIRST_BLOCK: usize = 4;
const FIRST_LANE: usize = 6;
const LEN: usize = 7;
const THRESHOLD_LOW: usize = 9;
const KEEP_SCALE: usize = 10;
const KEEP_SHIFT: usize = 11;
const DROPPED_VALUE: usize = 12;

fn draws_masks(dispatch: &Dispatch) -> bool {
    !matches!(dispatch.kernel, Kernel::PhiloxBlocks { .. })
}

/// What no check may pass.
const DEAD: [Case; 2] = [
    (
        "nothing is stored",
        Fault::Texts(|text| stores(text, ["_ = value;", "", "_ = counter_at(0u);"])),
    ),
    (
        "all results are 0",
        Fault::Texts(|text| {
            let zeros = [
                "STORE Word();",
                "mask[id.x] = 0u;",
                "blocks[id.x] = vec4<u32>(0u);",
            ];
            stores(text, zeros)
        }),
    ),
];

/// `text` with other statements for those that store a value, a mask word and a block.
fn stores(text: &str, [value, mask, block]: [&str; 3]) -> String {
    let mut text = text.replace("mask[id.x] = bits;", mask).replace(
        "blocks[id.x] = philox4x32(counter_at(id.x), params.key);",
        block,
    );
    for store in ["output[index] =", "data[index] ="] {
        text = text.replace(&format!("{store} value;"), &value.replace("STORE", store));
    }
    text
}

const TEXTS: &[Case] = &[
    // One lane where the origin has a remainder by 8.
    text(
        "lane 2 is wrong where the origin's remainder by 8 is 6",
        is_dropout,
        "return bits_from(low, keep_blocks(fifth, fifth, fifth, fifth), params.first_lane);",
        "return bits_from(low, keep_blocks(fifth, fifth, fifth, fifth), params.first_lane) ^ select(0u, 4u, params.first_lane == 6u);",
    ),
    text(
        "lane 31 is wrong where the origin's remainder by 8 is 2",
        all,
        "return bits_from(low, keep_blocks(fifth, fifth, fifth, fifth), params.first_lane);",
        "return bits_from(low, keep_blocks(fifth, fifth, fifth, fifth), params.first_lane) ^ select(0u, 0x80000000u, params.first_lane == 2u);",
    ),
    text(
        "a row's lane 0 is wrong where its index has the remainder 4",
        is_strided,
        "return row_word(row, lane);",
        "return row_word(row, lane) ^ u32(lane == 4u);",
    ),
    // Workgroups from some number on.
    text(
        "blocks are wrong from workgroup 9 on",
        all,
        "let a = 4u * WORKGROUP_SIZE * workgroup.x + local;",
        "let a = 4u * WORKGROUP_SIZE * workgroup.x + local + u32(workgroup.x >= 8u);",
    ),
    text(
        "words are wrong from workgroup 9 on",
        |kernel| is_f32(kernel) && buffers(kernel) == Some(BufferLayout::Pooled),
        "let keep = mask_word(id.x);",
        "let keep = mask_word(id.x) ^ u32(id.x >= 2048u);",
    ),
    text(
        "words are wrong from workgroup 65 on",
        |kernel| has_16_bits(kernel) && has_ids(kernel),
        "let keep = mask_word(id.x);",
        "let keep = mask_word(id.x) ^ u32(id.x >= 16384u);",
    ),
    text(
        "blocks are wrong from workgroup 4097 on",
        all,
        "let keep = keep_blocks(block_number(a)",
        "let keep = u32(a >= 4194304u) ^ keep_blocks(block_number(a)",
    ),
    text(
        "words are wrong from workgroup 4097 on",
        all,
        "let keep = mask_word(id.x);",
        "let keep = mask_word(id.x) ^ u32(id.x >= 1048576u);",
    ),
    text(
        "exported masks are wrong from workgroup 32769 on",
        all,
        "mask[id.x] = bits;",
        "mask[id.x] = bits ^ u32(id.x >= 8388608u);",
    ),
    text(
        "Gaussian noise is wrong from workgroup 4097 on",
        all,
        "let words = mask_words(block_at(id.x), 2u);",
        "let words = mask_words(block_at(id.x + u32(id.x >= 1048576u)), 2u);",
    ),
    text(
        "raw blocks are wrong from workgroup 4097 on",
        all,
        "blocks[id.x] = philox4x32(counter_at(id.x), params.key);",
        "blocks[id.x] = philox4x32(counter_at(id.x + u32(id.x >= 1048576u)), params.key);",
    ),
    // Strided layouts.
    text(
        "a dispatch begins at the outermost dimension's 0",
        all,
        "var coordinate = dimension.start + sum.carry;",
        "var coordinate = select(dimension.start, 0u, d == 0u) + sum.carry;",
    ),
    text(
        "a dispatch begins at the fourth dimension's 0",
        all,
        "var coordinate = dimension.start + sum.carry;",
        "var coordinate = select(dimension.start, 0u, d == 3u) + sum.carry;",
    ),
    text(
        "a row begins at 0",
        all,
        "let element = innermost.start + 32u * word;",
        "let element = 32u * word;",
    ),
    text(
        "a run begins at 0",
        all,
        "let element = run.start + 32u * n;",
        "let element = 32u * n;",
    ),
    text(
        "a stride has no upper half",
        all,
        "product.y += coordinate * dimension.stride.y;",
        "",
    ),
    text(
        "the seventh dimension's stride has no upper half",
        all,
        "product.y += coordinate * dimension.stride.y;",
        "product.y += select(coordinate * dimension.stride.y, 0u, d == 6u);",
    ),
    text(
        "the fifth dimension is left out",
        all,
        "if count > 4u { sum = add_dimension(sum, 4u); }",
        "",
    ),
    text(
        "the eighth dimension is the seventh",
        all,
        "if count > 7u { sum = add_dimension(sum, 7u); }",
        "if count > 7u { sum = add_dimension(sum, 6u); }",
    ),
    text(
        "the sum of indices does not carry",
        all,
        "return vec2<u32>(low, a.y + b.y + u32(low < b.x));",
        "return vec2<u32>(low, a.y + b.y);",
    ),
    text(
        "rows are found by a division in f32",
        all,
        "let rows = element / size;",
        "let rows = u32(f32(element) / f32(size));",
    ),
    text(
        "strided kernels store a word past their end",
        is_strided,
        "    store(i, word);\n",
        "    store(i, word);\n    if LANES * (i + 1u) >= params.len { store(i + 1u, word); }\n",
    ),
    text(
        "a row's fifth block is its fourth",
        all,
        "let fifth = block_behind(row, 4u);",
        "let fifth = block_behind(row, 3u);",
    ),
    text(
        "of two rows in a word the second begins a block late",
        all,
        "let next_bits = bits_from(low, high, 8u * blocks + (next_index.x & 7u));",
        "let next_bits = bits_from(low, high, 8u * blocks + ((next_index.x + u32(blocks == 4u)) & 7u));",
    ),
    // Values.
    text(
        "dropped NaNs survive by vectors",
        |kernel| is_f32(kernel) && access(kernel) == Some(Access::Vectors),
        "return select(Word(), scale(bits, params.keep_scale), keep);",
        "return select(select(Word(), bits, (bits & Word(0x7fffffffu)) > Word(0x7f800000u)), scale(bits, params.keep_scale), keep);",
    ),
    text(
        "dropped NaNs survive by words",
        |kernel| is_f32(kernel) && access(kernel) == Some(Access::Words),
        "return select(Word(), scale(bits, params.keep_scale), keep);",
        "return select(select(Word(), bits, (bits & Word(0x7fffffffu)) > Word(0x7f800000u)), scale(bits, params.keep_scale), keep);",
    ),
    text(
        "dropped infinities survive in classic dropout of 16 bits",
        has_16_bits,
        "return select(Word(), bits, keep);",
        "return select(select(Word(), bits, (bits & Word(0x7fffu)) == Word(0x7c00u)), bits, keep);",
    ),
    text(
        "a dropped -0 survives",
        is_f32,
        "return select(Word(), scale(bits, params.keep_scale), keep);",
        "return select(bits & Word(select(0u, 0x80000000u, params.keep_scale > 1.0)) & select(Word(), Word(0x80000000u), bits == Word(0x80000000u)), scale(bits, params.keep_scale), keep);",
    ),
    text(
        "a kept -0 becomes 0",
        is_f32,
        "return encode(decode(bits) * factor);",
        "return encode(decode(bits) * factor + 0.0) & select(Word(0xffffffffu), Word(), bits == Word(0x80000000u));",
    ),
    text(
        "alpha dropout of infinities is finite",
        |kernel| value(kernel) == Some(ValueMap::Affine),
        "let kept = decode(bits) * params.keep_scale + params.keep_shift;",
        "let kept = clamp(decode(bits) * params.keep_scale + params.keep_shift, Float(-0x1.fffffep127), Float(0x1.fffffep127));",
    ),
    text(
        "alpha dropout drops to 0 in the upper half",
        |kernel| has_16_bits(kernel) && value(kernel) == Some(ValueMap::Affine),
        "return low | (high << Word(16u));",
        "return low | (select(high, Word(), (Word(keep >> 1u) & LANE_BITS) == Word()) << Word(16u));",
    ),
    text(
        "subnormals are flushed in a bit copy",
        |kernel| is_f32(kernel) && value(kernel) == Some(ValueMap::Copy),
        "return select(Word(), bits, keep);",
        "return select(Word(), select(bits, bits & Word(0x80000000u), (bits & Word(0x7f800000u)) == Word()), keep);",
    ),
    text(
        "subnormals are flushed in classic dropout",
        |kernel| is_f32(kernel) && value(kernel) == Some(ValueMap::Keep),
        "return select(Word(), bits, keep);",
        "return select(Word(), select(bits, bits & Word(0x80000000u), (bits & Word(0x7f800000u)) == Word()), keep);",
    ),
    text(
        "bf16 is cut off in a tie",
        all,
        "let rounded = bits + Word(0x7fffu) + ((bits >> Word(16u)) & Word(1u));",
        "let rounded = bits + Word(0x7fffu);",
    ),
    text(
        "f16's subnormal results are flushed",
        all,
        "let scaled = narrow(widen(magnitude) * factor);",
        "let narrowed = narrow(widen(magnitude) * factor);\n    let scaled = select(narrowed, Word(), narrowed < Word(0x400u));",
    ),
    text(
        "the spare half is overwritten by packed masks",
        is_packed,
        "word = (word & Word(0xffffu)) | (stored(i) & Word(0xffff0000u));",
        "word = word & Word(0xffffu);",
    ),
    // Decisions.
    text(
        "D's lower half is one too large in the second draw",
        |kernel| !is_strided(kernel),
        "        bound = params.drop_threshold_low;\n    }\n    return keep;\n}\n\n// The decision",
        "        bound = params.drop_threshold_low + 1u;\n    }\n    return keep;\n}\n\n// The decision",
    ),
    text(
        "D's lower half is one too small in the second draw",
        |kernel| !is_strided(kernel),
        "        bound = params.drop_threshold_low;\n    }\n    return keep;\n}\n\n// The decision",
        "        bound = params.drop_threshold_low - 1u;\n    }\n    return keep;\n}\n\n// The decision",
    ),
    text(
        "D's lower half is one too large in a single index's second draw",
        all,
        "        bound = params.drop_threshold_low;\n    }\n    return keep;\n}\n\n// 32 bits",
        "        bound = params.drop_threshold_low + 1u;\n    }\n    return keep;\n}\n\n// 32 bits",
    ),
    text(
        "a tie with D's upper half drops where its lower half is 0",
        all,
        "lane_bits(even >= bounds, odd >= bounds),",
        "lane_bits(even > bounds, odd > bounds),",
    ),
    text(
        "a tie of one lane is overlooked",
        all,
        "lane_bits(even == bounds, odd == bounds),",
        "lane_bits(even == bounds, odd == bounds) & ~u32(32 * i32(domain == 0u)),",
    ),
    text(
        "block numbers do not carry",
        all,
        "return vec2<u32>(low, params.first_block.y + u32(low < offset));",
        "return vec2<u32>(low, params.first_block.y);",
    ),
    text(
        "the last round of Philox has the key of the last but one",
        all,
        "        k += PHILOX_W32; c = philox4x32_round(c, k);\n    }",
        "        c = philox4x32_round(c, k);\n    }",
    ),
    text(
        "a raw block's counter does not carry into its last word",
        all,
        "let c3 = params.counter.w + u32(c0 < offset && c1 == 0u && c2 == 0u);",
        "let c3 = params.counter.w;",
    ),
    text(
        "a product by halves carries wrong once in 2^16",
        all,
        "let high = a_high * b_high + (middle >> 16u) + (cross >> 16u);",
        "let high = a_high * b_high + (middle >> 16u) + (cross >> 16u) + u32(b_low == 0x1234u);",
    ),
    text(
        "a product of the first factor by halves carries wrong once in 2^16",
        all,
        "return vec2<u32>((mixed << 16u) | (low & 0xffffu), a_high * b_high + (mixed >> 16u));",
        "return vec2<u32>((mixed << 16u) | (low & 0xffffu), a_high * b_high + (mixed >> 16u) + u32(b_high == 0x4321u));",
    ),
    text(
        "a product by u64 carries wrong once in 2^16",
        all,
        "return vec2<u32>(u32(product), u32(product >> 32u));",
        "return vec2<u32>(u32(product), u32(product >> 32u) + u32((b & 0xffffu) == 0x1234u));",
    ),
    // Buffers.
    text(
        "loads of separate buffers wrap at 2^20 words",
        |kernel| is_dropout(kernel) && buffers(kernel) == Some(BufferLayout::Separate),
        "return input[index];",
        "return input[index & 0xfffffu];",
    ),
    text(
        "loads in place wrap at 2^20 words",
        |kernel| is_dropout(kernel) && buffers(kernel) == Some(BufferLayout::InPlace),
        "fn load(index: u32) -> Word {\n    return data[index];",
        "fn load(index: u32) -> Word {\n    return data[index & 0xfffffu];",
    ),
    text(
        "pooled stores go to the input",
        |kernel| buffers(kernel) == Some(BufferLayout::Pooled) && has_16_bits(kernel),
        "output[index] = value;",
        "output[index] = value; input[index] = value;",
    ),
    text(
        "sample ids end with the 64th",
        all,
        "return sample_ids[coordinate];",
        "return select(sample_ids[coordinate], coordinate, coordinate >= 64u);",
    ),
    text(
        "a sample id has 31 bits",
        all,
        "return sample_ids[coordinate];",
        "return sample_ids[coordinate] & 0x7fffffffu;",
    ),
    text(
        "a packed mask begins with its window",
        all,
        "return mask[params.first_block.x + word];",
        "return mask[word];",
    ),
    // Kernels that were never launched.
    text(
        "packed masks of 16 bits",
        |kernel| has_16_bits(kernel) && is_packed(kernel),
        "    store(i, word);\n",
        "    store(i, word ^ Word(1u));\n",
    ),
    text(
        "sample ids of 16 bits",
        |kernel| has_16_bits(kernel) && has_ids(kernel),
        "    store(i, word);\n",
        "    store(i, word ^ Word(1u));\n",
    ),
    text(
        "pooled alpha",
        |kernel| {
            buffers(kernel) == Some(BufferLayout::Pooled) && value(kernel) == Some(ValueMap::Affine)
        },
        "    store(i, word);\n",
        "    store(i, word ^ Word(0x10000u));\n",
    ),
    text(
        "Gaussian noise in two buffers",
        |kernel| buffers(kernel) == Some(BufferLayout::Separate) && !is_dropout(kernel),
        "gaussian_element(element + 3u, second.y);",
        "gaussian_element(element + 3u, second.x);",
    ),
    text(
        "Gaussian noise in one buffer",
        |kernel| buffers(kernel) == Some(BufferLayout::Pooled) && !is_dropout(kernel),
        "gaussian_element(element + 1u, first.y);",
        "gaussian_element(element + 1u, first.x);",
    ),
    text(
        "strided in place",
        |kernel| is_strided(kernel) && buffers(kernel) == Some(BufferLayout::InPlace),
        "    store(i, word);\n",
        "    store(i, word ^ Word(1u));\n",
    ),
    text(
        "Gaussian noise has the wrong lanes where the origin has remainder 3",
        all,
        "let element = lane_0 - params.first_lane;",
        "let element = lane_0 - min(params.first_lane, 2u);",
    ),
    text(
        "the last word of an exported mask has spare bits",
        all,
        "if left < 32u {",
        "if left < 31u {",
    ),
];

const HOST: &[Case] = &[
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
        "the lane is 2 in place of 6",
        Fault::Dispatch(|dispatch, _| {
            if draws_masks(dispatch) && dispatch.params[FIRST_LANE] == 6 {
                dispatch.params[FIRST_LANE] = 2;
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
            if let Kernel::Dropout { value, .. } = &mut dispatch.kernel
                && shifts
            {
                *value = ValueMap::Affine;
            }
        }),
    ),
    (
        "the last workgroup is forgotten where there are nine or more",
        Fault::Dispatch(|dispatch, _| {
            if dispatch.invocations > 8 * 256 {
                dispatch.invocations -= 256;
            }
        }),
    ),
    (
        "blocks are taken whole where they are not",
        Fault::Dispatch(|dispatch, _| {
            let len = dispatch.params[LEN];
            if let Kernel::Dropout {
                mask: MaskSource::Linear,
                access: access @ Access::Vectors,
                value,
                ..
            } = &mut dispatch.kernel
                && *value != ValueMap::Copy
                && len.is_multiple_of(8)
            {
                *access = Access::Blocks;
            }
        }),
    ),
    (
        "rows are taken for whole words",
        Fault::Dispatch(|dispatch, _| {
            if let Kernel::Dropout {
                mask: MaskSource::Strided(strided),
                ..
            } = &mut dispatch.kernel
                && strided.family == Family::Rows
            {
                strided.whole_words = true;
            }
        }),
    ),
    (
        "copies are classic dropout",
        Fault::Dispatch(|dispatch, _| {
            if let Kernel::Dropout { value, mask: MaskSource::Linear, .. } = &mut dispatch.kernel
                && *value == ValueMap::Copy
            {
                *value = ValueMap::Keep;
                dispatch.params[8] = 1;
            }
        }),
    ),
    (
        "an output begins an alignment late",
        Fault::Bindings(|bindings| {
            if let [(0, _), (1, output), ..] = &mut bindings[..] {
                output.offset += 256;
            }
        }),
    ),
    (
        "input and output are exchanged",
        Fault::Bindings(|bindings| {
            if let [(0, input), (1, output), ..] = &mut bindings[..] {
                core::mem::swap(&mut input.offset, &mut output.offset);
            }
        }),
    ),
    (
        "a window lacks its last word",
        Fault::Bindings(|bindings| {
            for (_, binding) in bindings {
                binding.size = binding
                    .size
                    .and_then(|size| wgpu::BufferSize::new(size.get() - 4))
                    .or(binding.size);
            }
        }),
    ),
    (
        "sample ids are another batch's",
        Fault::Bindings(|bindings| {
            if let [.., (3, ids)] = &mut bindings[..]
                && ids.offset >= 512
            {
                ids.offset -= 256;
            }
        }),
    ),
    (
        "a layout begins at the innermost dimension's 0",
        Fault::Dimensions(|dimensions| {
            let inner = dimensions.iter_mut().rfind(|[size, ..]| *size != 0);
            if let Some([_, start, ..]) = inner {
                *start = 0;
            }
        }),
    ),
    (
        "a layout begins at the outermost dimension's 0",
        Fault::Dimensions(|dimensions| dimensions[0][1] = 0),
    ),
    (
        "the third dimension's stride has no upper half",
        Fault::Dimensions(|dimensions| dimensions[2][3] = 0),
    ),
    (
        "the sixth dimension is one too large",
        Fault::Dimensions(|dimensions| {
            if dimensions[5][0] != 0 {
                dimensions[5][0] += 1;
            }
        }),
    ),
];

/// A device of each adapter, with its backend's name.
pub(super) fn devices() -> Vec<(String, wgpu::Device, wgpu::Queue)> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapters = adapters
        .into_iter()
        .filter(|adapter| adapter.get_info().backend != wgpu::Backend::Noop);
    let devices = adapters.map(|adapter| {
        let features = wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & features,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        (adapter.get_info().backend.to_string(), device, queue)
    });
    let devices: Vec<_> = devices.collect();
    assert!(!devices.is_empty() || env::var_os("REQUIRE_GPU").is_none());
    devices
}

fn is_failed(check: &Check) -> bool {
    matches!(check.outcome, Outcome::Failed { .. })
}

/// The first check that finds the fault.
fn found_by(device: &wgpu::Device, queue: &wgpu::Queue, fault: Fault) -> Option<String> {
    let (found, met) = found_by_met(device, queue, fault);
    assert!(met > 0, "the fault is nowhere");
    found
}

pub(super) fn found_by_met(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    fault: Fault,
) -> (Option<String>, usize) {
    let options = AuditOptions::default();
    let work = || {
        pollster::block_on(run(device, queue, &options, |check| {
            if is_failed(check) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }))
    };
    let (report, met) = faults::with(fault, work);
    let found = report.checks.into_iter().find_map(|check| match check.outcome {
        Outcome::Failed { expected, got } => {
            Some(format!("{} | {expected}; got {got}", check.name))
        }
        _ => None,
    });
    (found, met)
}

/// Two tests at once would be two threads on a GL adapter, of which one waits too long for the other.
static ADAPTERS: Mutex<()> = Mutex::new(());

/// Plants one fault after the other: of each adapter's those of a sample, or with FAULTS=all all, or
/// those whose names have FAULTS.
#[test]
fn planted_faults_are_found() {
    const SAMPLE: usize = 5;
    let _alone = ADAPTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = env::var("FAULTS").unwrap_or_default();
    let mut missed = Vec::new();
    for (adapter, (backend, device, queue)) in devices().iter().enumerate() {
        for (place, (name, fault)) in TEXTS.iter().chain(HOST).enumerate() {
            let is_wanted = match wanted.as_str() {
                "" => place % SAMPLE == adapter % SAMPLE,
                "all" => true,
                part => name.contains(part),
            };
            if !is_wanted {
                continue;
            }
            let found = found_by(device, queue, *fault);
            let by = found.as_deref().unwrap_or("NOBODY");
            println!("| {backend} | {name} | {by} |");
            if found.is_none() {
                missed.push(format!("{backend}: {name}"));
            }
        }
    }
    assert_eq!(missed, [""; 0]);
}

#[test]
fn no_check_passes_a_device_that_stores_nothing_or_zeros() {
    let _alone = ADAPTERS.lock().unwrap_or_else(PoisonError::into_inner);
    for (backend, device, queue) in devices() {
        for (name, fault) in DEAD {
            let audit = || pollster::block_on(audit(&device, &queue, |_| {}));
            let (report, _) = faults::with(fault, audit);
            let passed = report.checks.iter().filter(|check| !is_failed(check));
            let passed: Vec<_> = passed.map(|check| check.name).collect();
            assert_eq!(passed, [""; 0], "{backend}: {name}");
            assert_ne!(report.mask_hash, Some(MASK_HASH));
        }
    }
}

fn limits(alignment_bytes: u32) -> wgpu::Limits {
    wgpu::Limits {
        min_storage_buffer_offset_alignment: alignment_bytes,
        ..wgpu::Limits::downlevel_defaults()
    }
}

const WAYS: [(Multiply, ParamsSource); 4] = [
    (Multiply::U64, ParamsSource::Immediates),
    (Multiply::U64, ParamsSource::Uniform),
    (Multiply::Halves, ParamsSource::Immediates),
    (Multiply::Halves, ParamsSource::Uniform),
];

type Pair = [(&'static str, String); 2];

fn pairs(candidate: Candidate) -> Vec<Pair> {
    let fields = candidate.fields();
    let all = (0..fields.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let all = all.filter(|&(a, b)| is_pair(fields[a].0, fields[b].0));
    all.map(|(a, b)| [fields[a].clone(), fields[b].clone()]).collect()
}

#[test]
fn every_pair_of_values_that_selects_a_kernel_is_dispatched_at_a_rate_between_0_and_1() {
    for (alignment_bytes, ways, seed) in [
        (32, &WAYS[..], 42),
        (256, &WAYS[..], 7),
        (256, &WAYS[2..], 42),
        (64, &WAYS[3..], 1),
    ] {
        let limits = limits(alignment_bytes);
        let possible: HashSet<_> = candidates(ways)
            .flat_map(pairs)
            .collect();
        let covering = cover(candidates(ways).collect(), &limits, seed);
        let is_between = |run: &&Run| !run.call.rate.drops_all();
        let runs = covering.iter().flat_map(|(_, runs)| runs).filter(is_between);
        let dispatched: HashSet<_> = runs
            .flat_map(|run| dispatched(run, &limits))
            .flat_map(pairs)
            .collect();
        let missing: Vec<_> = possible.difference(&dispatched).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let unknown: Vec<_> = dispatched.difference(&possible).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn count() {
    for seed in 40..43 {
        let start = std::time::Instant::now();
        let limits = limits(32);
        let all: Vec<_> = candidates(&WAYS).collect();
        let took = start.elapsed();
        let covering = cover(all, &limits, seed);
        let runs = || covering.iter().flat_map(|(_, runs)| runs);
        let set: HashSet<_> = runs().flat_map(|run| dispatched(run, &limits)).map(|c| c.variant).collect();
        println!("{} chosen, {} pipelines, {} runs, {took:?} {:?}", covering.len(), set.len(), runs().count(), start.elapsed());
    }
}

#[test]
fn a_long_audit_dispatches_every_kernel_that_a_tensor_has() {
    let limits = limits(256);
    for candidate in candidates(&WAYS[3..]) {
        let runs = candidate.runs(Load::Light, &limits, 5);
        let has = |run: &Run| dispatched(run, &limits).any(|other| other.variant == candidate.variant);
        assert!(runs.iter().any(has), "{candidate:?}");
    }
}

#[test]
fn names_differ() {
    let names: HashSet<_> = TEXTS.iter().chain(HOST).map(|(name, _)| name).collect();
    assert_eq!(names.len(), TEXTS.len() + HOST.len());
}

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

#[test]
fn costs() {
    let (_, device, queue) = devices().remove(0);
    let audit = Audit::new(Gpu::new(&device, &queue), AuditOptions::default());
    let limits = device.limits();
    let only_full = env::var_os("FULL").is_some();
    for (c, runs) in &audit.covering {
        if only_full { break; }
        let t = cpu();
        pollster::block_on(super::run::check(&audit.gpu, runs)).unwrap();
        let t = ((cpu() - t) * 100.0) as u32;
        let k: HashSet<_> = runs.iter().flat_map(|r| dispatched(r, &limits)).map(|c| c.variant).collect();
        let f: Vec<_> = c.fields().into_iter().map(|(_, v)| v).collect();
        println!("{} pipelines {t:4} cs: {}", k.len(), f.join(" "));
    }
    for f in ["full", "pass", "golden"] {
        let t = cpu();
        pollster::block_on(async { match f { "full" => audit.full_size().await, "pass" => audit.one_pass().await, _ => audit.contract_vectors().await }}).unwrap();
        println!("{f} {:.2}", cpu() - t);
    }
}
