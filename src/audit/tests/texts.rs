//! Faults in the text of kernels. Each replaces lines that it quotes.

use super::Case;
use crate::contract::effect::Effect;
use crate::host::faults::Fault;
use crate::kernel::axes::{Access, BufferLayout, Family, IndexKind, Kernel, Strided};
use crate::{Activation, ElementType};

fn all(_: Kernel) -> bool {
    true
}

pub(super) fn is_dropout(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Dropout { .. })
}

fn strided(kernel: Kernel) -> Option<Strided> {
    match kernel.mask() {
        Some(IndexKind::Strided(strided)) => Some(strided),
        _ => None,
    }
}

fn is_strided(kernel: Kernel) -> bool {
    is_dropout(kernel) && strided(kernel).is_some()
}

fn has_family(kernel: Kernel, is: fn(Family) -> bool) -> bool {
    strided(kernel).is_some_and(|strided| is(strided.family))
}

pub(super) fn is_packed(kernel: Kernel) -> bool {
    kernel.mask() == Some(IndexKind::Packed)
}

fn has_ids(kernel: Kernel) -> bool {
    strided(kernel).is_some_and(|strided| strided.sample_ids)
}

fn has_element(kernel: Kernel, is: fn(ElementType) -> bool) -> bool {
    matches!(kernel, Kernel::Dropout { element, .. } if is(element))
}

fn has_16_bits(kernel: Kernel) -> bool {
    has_element(kernel, |element| element != ElementType::F32)
}

fn is_f32(kernel: Kernel) -> bool {
    has_element(kernel, |element| element == ElementType::F32)
}

fn has_buffers(kernel: Kernel, wanted: BufferLayout) -> bool {
    matches!(kernel, Kernel::Dropout { buffers, .. } if buffers == wanted)
}

fn has_access(kernel: Kernel, wanted: Access) -> bool {
    matches!(kernel, Kernel::Dropout { access, .. } if access == wanted)
}

fn has_effect(kernel: Kernel, wanted: Effect) -> bool {
    matches!(kernel, Kernel::Dropout { effect, .. } if effect == wanted)
}

pub(super) fn is_noise(kernel: Kernel) -> bool {
    has_effect(kernel, Effect::Noise)
}

fn is_activated(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Activated(_))
}

fn is_normed(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Normed(_))
}

fn is_softmaxed(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Softmaxed(_))
}

fn is_activated_by(kernel: Kernel, wanted: Activation) -> bool {
    matches!(kernel, Kernel::Activated(kernel) if kernel.activation == wanted)
}

const fn text(
    name: &'static str,
    of: fn(Kernel) -> bool,
    from: &'static str,
    to: &'static str,
) -> Case {
    (name, Fault::Text { from, to, of })
}

const fn functions(name: &'static str, from: &'static str, to: &'static str) -> Case {
    (name, Fault::Functions { from, to })
}

/// Faults with which no check may pass.
pub(super) const DEAD: [Case; 2] = [
    (
        "nothing is stored",
        Fault::Texts(|text| {
            stores(
                text,
                ["_ = value;", "", "_ = counter_at(0u);", "_ = total;"],
            )
        }),
    ),
    (
        "all results are 0",
        Fault::Texts(|text| {
            let zeros = [
                "STORE value ^ value;",
                "mask[id.x] = 0u;",
                "blocks[id.x] = vec4<u32>(0u);",
                "sums[column] = total * 0.0;",
            ];
            stores(text, zeros)
        }),
    ),
];

/// Replaces the statements of `text` that store a value, a mask word, a block and a column's sum.
fn stores(text: &str, [value, mask, block, sum]: [&str; 4]) -> String {
    let mut text = text.replace("mask[id.x] = bits;", mask).replace(
        "blocks[id.x] = dropout_philox(counter_at(id.x), params.key);",
        block,
    );
    for store in ["sums[column] += total;", "sums[column] = total;"] {
        text = text.replace(store, sum);
    }
    for store in ["output[index] =", "data[index] ="] {
        text = text.replace(&format!("{store} value;"), &value.replace("STORE", store));
    }
    text
}

pub(super) const TEXTS: &[Case] = &[
    // Faults of one lane, if the origin is no multiple of 8.
    text(
        "lane 2 is wrong where the origin's remainder by 8 is 6",
        is_dropout,
        "return dropout_keep_32(params.mask, 32u * word);",
        "return dropout_keep_32(params.mask, 32u * word) ^ select(0u, 4u, (params.mask.first_index_low & 7u) == 6u);",
    ),
    text(
        "lane 31 is wrong where the origin's remainder by 8 is 2",
        all,
        "return dropout_keep_32(params.mask, 32u * word);",
        "return dropout_keep_32(params.mask, 32u * word) ^ select(0u, 0x80000000u, (params.mask.first_index_low & 7u) == 2u);",
    ),
    text(
        "a row's lane 0 is wrong where its index has the remainder 4",
        is_strided,
        "return dropout_keep_row(params.mask, row, lane);",
        "return dropout_keep_row(params.mask, row, lane) ^ u32(lane == 4u);",
    ),
    // Faults of workgroups of large numbers.
    text(
        "blocks are wrong from workgroup 9 on",
        all,
        "let a = 4u * WORKGROUP_SIZE * workgroup.x + local;",
        "let a = 4u * WORKGROUP_SIZE * workgroup.x + local + u32(workgroup.x >= 8u);",
    ),
    text(
        "words are wrong from workgroup 9 on",
        |kernel| is_f32(kernel) && has_buffers(kernel, BufferLayout::Pooled),
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
        "let block_a = block_number(a);",
        "let block_a = block_number(a + u32(a >= 4194304u));",
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
        "return dropout_normal_at(params.mask, element_index(element));",
        "return dropout_normal_at(params.mask, element_index(element + u32(element >= 33554432u)));",
    ),
    text(
        "raw blocks are wrong from workgroup 4097 on",
        all,
        "blocks[id.x] = dropout_philox(counter_at(id.x), params.key);",
        "blocks[id.x] = dropout_philox(counter_at(id.x + u32(id.x >= 1048576u)), params.key);",
    ),
    // Faults of strided layouts.
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
        |kernel| has_family(kernel, |family| matches!(family, Family::Rows { .. })),
        "let element = innermost.start + 32u * word;",
        "let element = 32u * word;",
    ),
    text(
        "a run begins at 0",
        |kernel| has_family(kernel, |family| matches!(family, Family::Runs { .. })),
        "let element = innermost.start + 32u * word;",
        "let element = 32u * word;",
    ),
    text(
        "a stride has no upper half",
        all,
        "product.y += coordinate * stride.y;",
        "",
    ),
    text(
        "the seventh dimension's stride has no upper half",
        all,
        "dropout_index_after(sum.index, coordinate, dimension.stride)",
        "dropout_index_after(sum.index, coordinate, dimension.stride * vec2<u32>(1u, u32(d != 6u)))",
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
        "let rows = divide(element, innermost);",
        "let rows = u32(f32(element) / f32(innermost.size));",
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
        "let fifth = dropout_keep_8(mask, dropout_advance(block, 4u));",
        "let fifth = dropout_keep_8(mask, dropout_advance(block, 3u));",
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
        |kernel| is_f32(kernel) && has_access(kernel, Access::Vectors),
        "return select(Word(), scale(bits, params.mask.keep_scale), keep);",
        "return select(select(Word(), bits, (bits & Word(0x7fffffffu)) > Word(0x7f800000u)), scale(bits, params.mask.keep_scale), keep);",
    ),
    text(
        "dropped NaNs survive by words",
        |kernel| is_f32(kernel) && has_access(kernel, Access::Words),
        "return select(Word(), scale(bits, params.mask.keep_scale), keep);",
        "return select(select(Word(), bits, (bits & Word(0x7fffffffu)) > Word(0x7f800000u)), scale(bits, params.mask.keep_scale), keep);",
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
        "return select(Word(), scale(bits, params.mask.keep_scale), keep);",
        "return select(bits & Word(select(0u, 0x80000000u, params.mask.keep_scale > 1.0)) & select(Word(), Word(0x80000000u), bits == Word(0x80000000u)), scale(bits, params.mask.keep_scale), keep);",
    ),
    text(
        "a kept -0 becomes 0",
        is_f32,
        "return encode(decode(bits) * factor);",
        "return encode(decode(bits) * factor + 0.0) & select(Word(0xffffffffu), Word(), bits == Word(0x80000000u));",
    ),
    text(
        "alpha dropout of infinities is finite",
        |kernel| has_effect(kernel, Effect::Affine),
        "let kept = x * params.mask.keep_scale + params.mask.keep_shift;",
        "let kept = clamp(x * params.mask.keep_scale + params.mask.keep_shift, Float(-0x1.fffffep127), Float(0x1.fffffep127));",
    ),
    text(
        "alpha dropout drops to 0 in the upper half",
        |kernel| has_16_bits(kernel) && has_effect(kernel, Effect::Affine),
        "return low | (high << Word(16u));",
        "return low | (select(high, Word(), (Word(keep >> 1u) & LANE_BITS) == Word()) << Word(16u));",
    ),
    text(
        "subnormals are flushed in a bit copy",
        |kernel| is_f32(kernel) && has_effect(kernel, Effect::Copy),
        "return select(Word(), bits, keep);",
        "return select(Word(), select(bits, bits & Word(0x80000000u), (bits & Word(0x7f800000u)) == Word()), keep);",
    ),
    text(
        "subnormals are flushed in classic dropout",
        |kernel| is_f32(kernel) && has_effect(kernel, Effect::Keep),
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
        "        bound = mask.threshold_low;\n    }\n    return keep;\n}\n\n// The decision",
        "        bound = mask.threshold_low + 1u;\n    }\n    return keep;\n}\n\n// The decision",
    ),
    text(
        "D's lower half is one too small in the second draw",
        |kernel| !is_strided(kernel),
        "        bound = mask.threshold_low;\n    }\n    return keep;\n}\n\n// The decision",
        "        bound = mask.threshold_low - 1u;\n    }\n    return keep;\n}\n\n// The decision",
    ),
    text(
        "D's lower half is one too large in a single index's second draw",
        all,
        "keep = half >= bound;",
        "keep = half >= bound + u32(domain == 1u);",
    ),
    text(
        "a tie with D's upper half drops where its lower half is 0",
        all,
        "dropout_lane_bits(even >= bounds, odd >= bounds),",
        "dropout_lane_bits(even > bounds, odd > bounds),",
    ),
    text(
        "a tie of one lane is overlooked",
        all,
        "dropout_lane_bits(even == bounds, odd == bounds),",
        "dropout_lane_bits(even == bounds, odd == bounds) & ~u32(32 * i32(domain == 0u)),",
    ),
    text(
        "a tie of a block's even lane is overlooked",
        all,
        "(ties(words_a) | ties(words_b)) & 0x80008000u;",
        "(ties(words_a) | ties(words_b)) & 0x80000000u;",
    ),
    text(
        "a settled tie of a block drops where it keeps",
        all,
        "select(vec4<u32>(0u), vec4<u32>(0xffffu), kept_odd)",
        "select(vec4<u32>(0xffffu), vec4<u32>(0u), kept_odd)",
    ),
    text(
        "block numbers do not carry",
        all,
        "return dropout_advance(params.first_block, n);",
        "return params.first_block + vec2<u32>(n, 0u);",
    ),
    text(
        "the last round of Philox has the key of the last but one",
        all,
        "        k += DROPOUT_PHILOX_W32; c = dropout_philox_round(c, k);\n    }",
        "        c = dropout_philox_round(c, k);\n    }",
    ),
    text(
        "the last round of a whole block has the key of the last but one",
        all,
        "return dropout_philox_round(c, start.k9);",
        "return dropout_philox_round(c, start.k8);",
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
        |kernel| is_dropout(kernel) && has_buffers(kernel, BufferLayout::Separate),
        "return input[index];",
        "return input[index & 0xfffffu];",
    ),
    text(
        "loads in place wrap at 2^20 words",
        |kernel| is_dropout(kernel) && has_buffers(kernel, BufferLayout::InPlace),
        "fn load(index: u32) -> Word {\n    return data[index];",
        "fn load(index: u32) -> Word {\n    return data[index & 0xfffffu];",
    ),
    text(
        "pooled stores go to the input",
        |kernel| has_buffers(kernel, BufferLayout::Pooled) && has_16_bits(kernel),
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
        "return mask[params.first_word + word];",
        "return mask[word];",
    ),
    // Faults of kernels that an earlier auditor never launched.
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
        |kernel| has_buffers(kernel, BufferLayout::Pooled) && has_effect(kernel, Effect::Affine),
        "    store(i, word);\n",
        "    store(i, word ^ Word(0x10000u));\n",
    ),
    text(
        "Gaussian noise of blocks in two buffers",
        |kernel| has_buffers(kernel, BufferLayout::Separate),
        "let second = vec2<u32>(first.x | 1u, first.y);",
        "let second = first;",
    ),
    text(
        "Gaussian noise of 16 bits has a block's halves exchanged",
        has_16_bits,
        "return select(Float(a.x, a.z, b.x, b.z), Float(a.y, a.w, b.y, b.w), half == 1u);",
        "return select(Float(a.y, a.w, b.y, b.w), Float(a.x, a.z, b.x, b.z), half == 1u);",
    ),
    text(
        "Gaussian noise of layouts has one lane twice",
        all,
        "noise_at(first + 3u * step),",
        "noise_at(first + 2u * step),",
    ),
    text(
        "Gaussian noise of 16 bits by words",
        has_16_bits,
        "element_index(element + half)",
        "element_index(element)",
    ),
    text(
        "strided in place",
        |kernel| is_strided(kernel) && has_buffers(kernel, BufferLayout::InPlace),
        "    store(i, word);\n",
        "    store(i, word ^ Word(1u));\n",
    ),
    text(
        "Gaussian noise has the wrong lanes where the origin has remainder 3",
        all,
        "let lane = params.mask.first_index_low & 3u;",
        "let lane = min(params.mask.first_index_low & 3u, 2u);",
    ),
    text(
        "Gaussian noise has no sign",
        all,
        "let angle = 6.28318530717958647692 * (uniform_b - 0.5);",
        "let angle = 3.14159265358979323846 * (uniform_b - 0.5);",
    ),
    text(
        "a noise block's number has no upper half",
        all,
        "return vec2<u32>((index.x >> 2u) | (index.y << 30u), index.y >> 2u);",
        "return vec2<u32>((index.x >> 2u) | (index.y << 30u), 0u);",
    ),
    text(
        "noise is drawn from the masks' domain",
        all,
        "let words = dropout_block_words(mask, block, 2u);",
        "let words = dropout_block_words(mask, block, 0u);",
    ),
    text(
        "noise of in-place bf16 is rounded twice as far",
        |kernel| has_element(kernel, |element| element == ElementType::Bf16) && is_noise(kernel),
        "bits + Word(0x7fffu)",
        "bits + Word(0xffffu)",
    ),
    text(
        "the last Word of a mask word of noise is left out",
        all,
        "let end = min(first + 32u / LANES,",
        "let end = min(first + 31u / LANES,",
    ),
    text(
        "blocks beside the last are stored too",
        all,
        "    if n >= params.len / 8u {\n        return;\n    }\n    write_lanes",
        "    if n > params.len / 8u {\n        return;\n    }\n    write_lanes",
    ),
    text(
        "the second half of a block has the first one's decisions",
        is_f32,
        "Keep(even.z, odd.z, even.w, odd.w), 8u * n + 4u",
        "Keep(even.x, odd.x, even.y, odd.y), 8u * n + 4u",
    ),
    text(
        "the carry of one word of the seed is lost",
        all,
        "vec2<u32>(mask.seed_low, mask.seed_high),",
        "vec2<u32>(mask.seed_low, mask.seed_high & 0x7fffffffu),",
    ),
    text(
        "a product by u64 carries wrong once in 2^24",
        all,
        "return vec2<u32>(u32(product), u32(product >> 32u));",
        "return vec2<u32>(u32(product), u32(product >> 32u) + u32((b & 0xffffffu) == 0x123456u));",
    ),
    text(
        "a product by halves carries wrong once in 2^24",
        all,
        "let high = a_high * b_high + (middle >> 16u) + (cross >> 16u);",
        "let high = a_high * b_high + (middle >> 16u) + (cross >> 16u) + u32((b & 0xffffffu) == 0x654321u);",
    ),
    text(
        "a quotient is one too large where its dividend is a multiple of 65",
        all,
        "return ((product.y << 1u) | (product.x >> 31u)) >> dimension.shift;",
        "return (((product.y << 1u) | (product.x >> 31u)) >> dimension.shift) + u32(dimension.size > 1u && n == 65u * (n / 65u) && n > 0u);",
    ),
    text(
        "f16 below 2^-14 is read as 0",
        all,
        "return bitcast<Float>(min(biased, unbiased));",
        "return bitcast<Float>(select(min(biased, unbiased), Word(), magnitude < Word(0x400u)));",
    ),
    text(
        "a kept infinity of f16 by a factor of 0 is no NaN",
        all,
        "select(0u, 0x200u, FACTOR_MAY_BE_0 && factor == 0.0)",
        "select(0u, 0x200u, false)",
    ),
    text(
        "a NaN of bf16 becomes infinite",
        all,
        "return select(rounded, bits | Word(0x400000u), nan) >> Word(16u);",
        "return select(rounded, bits & Word(0xff800000u), nan) >> Word(16u);",
    ),
    text(
        "the last word of an exported mask has spare bits",
        all,
        "if left < 32u {",
        "if left < 31u {",
    ),
    // Neighbours.
    text(
        "a dropped residual of -0 becomes 0",
        Kernel::has_neighbours,
        "return select(residual_bits, encode_stream(sum), keep);",
        "return select(encode_stream(decode_stream(residual_bits) + Float()), encode_stream(sum), keep);",
    ),
    text(
        "a bias begins at 0 in each dispatch",
        all,
        "first_bias = (params.bias_start + element) % params.bias_len;",
        "first_bias = element % params.bias_len;",
    ),
    text(
        "a scale begins at 0 in each dispatch",
        all,
        "first_scale = (params.scale_start + element) % params.scale_len;",
        "first_scale = element % params.scale_len;",
    ),
    text(
        "a scale stands at the bias",
        all,
        "return x * vector_at(params.bias_len + number, half, 1u);",
        "return x * vector_at(number, half, 1u);",
    ),
    text(
        "a vector's last word is its first one's",
        all,
        "return select(number, number - len, number >= len);",
        "return select(number, 0u, number >= len - LANES);",
    ),
    text(
        "an upper half has the lower's bias",
        all,
        "let number = first + (element & 31u) + select(0u, half, LANES == 2u);",
        "let number = first + (element & 31u);",
    ),
    text(
        "upper halves of vectors have the lower ones' numbers",
        all,
        "upper_numbers[vector] = vec4(a.yw, b.yw);",
        "upper_numbers[vector] = vec4(a.xz, b.xz);",
    ),
    text(
        "the scale is before the bias",
        Kernel::has_vectors,
        "let branch = scaled(biased(decode(bits), element, half), element, half);",
        "let branch = biased(scaled(decode(bits), element, half), element, half);",
    ),
    text(
        "a gradient is not scaled in packed masks",
        is_packed,
        "let kept = scaled(decode_stream(bits) * params.mask.keep_scale, element, half);",
        "let kept = decode_stream(bits) * params.mask.keep_scale;",
    ),
    text(
        "the factor is left out of a sum with sample ids",
        has_ids,
        "let sum = decode_stream(residual_bits) + branch * params.mask.keep_scale;",
        "let sum = decode_stream(residual_bits) + branch;",
    ),
    text(
        "a tile has 63 rows",
        all,
        "let end_row = min(first_row + TILE_ROWS, params.rows);",
        "let end_row = min(first_row + TILE_ROWS - 1u, params.rows);",
    ),
    text(
        "the tiles of a dispatch replace the first ones'",
        all,
        "scratch[(params.first_tile + tile) * params.columns + column] = sum;",
        "scratch[tile * params.columns + column] = sum;",
    ),
    text(
        "the 17th tile is left out",
        all,
        "tile < params.tiles; tile += CHAINS",
        "tile < min(params.tiles, CHAINS); tile += CHAINS",
    ),
    text(
        "totals replace what they should be added to",
        all,
        "sums[column] += total;",
        "sums[column] = total;",
    ),
    text(
        "a strip's last mask word is not drawn",
        all,
        "for (var i = local; i < ROW_WORDS * rows; i += WORKGROUP_SIZE) {",
        "for (var i = local; i < ROW_WORDS * rows; i += WORKGROUP_SIZE + u32(i % ROW_WORDS == 1u)) {",
    ),
    text(
        "the gradient of a scale leaves the factor out",
        all,
        "let product = gradient_of(element) * params.mask.keep_scale * biased(decode(input_bits(element)), element);",
        "let product = gradient_of(element) * biased(decode(input_bits(element)), element);",
    ),
    text(
        "four elements of a branch beside f32 are in the order of their halves",
        all,
        "return vec4(pairs & vec2(0xffffu), pairs >> vec2(16u)).xzyw;\n}\n\nfn store(index: u32, value: Word) {\n    output[index] = value;",
        "return vec4(pairs & vec2(0xffffu), pairs >> vec2(16u));\n}\n\nfn store(index: u32, value: Word) {\n    output[index] = value;",
    ),
    text(
        "a branch's gradient of f32 overwrites its neighbour by words",
        all,
        "let other = output[index / 2u] & (0xffff0000u >> shift);",
        "let other = 0u;",
    ),
    text(
        "two terms of a scale's gradient have one gradient of f32",
        all,
        "return bitcast<f32>(gradient[element]);",
        "return bitcast<f32>(gradient[element / 2u]);",
    ),
    text(
        "the gradient of a scale begins its bias at 0",
        all,
        "return x + vectors[(params.bias_start + element) % params.bias_len];",
        "return x + vectors[element % params.bias_len];",
    ),
    // Activations.
    text(
        "an up has its gate's bias",
        all,
        "return x + vector_at(vector * params.bias_len + number, half, vector);",
        "return x + vector_at(number, half, vector);",
    ),
    text(
        "a bias before an activation begins at 0 in each dispatch",
        is_activated,
        "first_bias = (params.bias_start + element) % params.bias_len;",
        "first_bias = element % params.bias_len;",
    ),
    text(
        "silu's gate has the derivative of quick-gelu",
        |kernel| is_activated_by(kernel, Activation::Silu),
        "let z = clamped(x);\n    return weighted_slope(z, z);",
        "let z = clamped(1.702 * x);\n    return weighted_slope(z, z);",
    ),
    text(
        "gelu by the error function is gelu by tanh",
        |kernel| is_activated_by(kernel, Activation::Gelu),
        "return max(x, Float(-MAX_ERF)) * select(1.0 - tail, tail, x < Float(0.0));",
        "return max(x, Float(-MAX_ERF)) / (1.0 + exp(-1.5957691216 * x * (1.0 + 0.044715 * x * x)));",
    ),
    text(
        "gelu's tail is wrong in its fifth digit",
        |kernel| is_activated_by(kernel, Activation::Gelu),
        "p = p * t + 0.37409196;",
        "p = p * t + 0.37408196;",
    ),
    text(
        "a slope of gelu by tanh lacks its cube's 3",
        |kernel| is_activated_by(kernel, Activation::GeluTanh),
        "(1.0 + 3.0 * CUBE * c * c)",
        "(1.0 + CUBE * c * c)",
    ),
    text(
        "relu makes 0 of a NaN",
        |kernel| is_activated_by(kernel, Activation::Relu),
        "return unless_nan(x, activate(x));",
        "return activate(x);",
    ),
    text(
        "a dropped NaN survives an activation",
        is_activated,
        "return select(Word(), encode(activated(x) * params.mask.keep_scale), keep);",
        "let nan = (bitcast<Word>(x) & Word(0x7fffffffu)) > Word(0x7f800000u);\n    return select(select(Word(), bits, nan), encode(activated(x) * params.mask.keep_scale), keep);",
    ),
    text(
        "halves of rows of pairs have twice their pitch",
        is_activated,
        "return i + (first_row + rows) * params.columns / LANES;",
        "return i + (first_row + rows) * params.columns;",
    ),
    text(
        "of short rows of halves an invocation has two at most",
        is_activated,
        "rows = column / params.columns;",
        "rows = min(column / params.columns, 1u);",
    ),
    text(
        "the factor is left out of an up's gradient",
        is_activated,
        "encode(grad * activated(gate))",
        "encode(decode(bits) * activated(gate))",
    ),
    text(
        "an up's gradient is its gate's",
        is_activated,
        "output[up_place(index)] = grad_up;",
        "output[up_place(index)] = value;",
    ),
    text(
        "the half behind an up's last gradient is overwritten",
        is_activated,
        "word = (word & Word(0xffffu)) | (output[index] & Word(0xffff0000u));",
        "word = word & Word(0xffffu);",
    ),
    // Norms.
    text(
        "a row's mean is not corrected",
        all,
        "correction = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));",
        "correction = Rows();",
    ),
    text(
        "the gradient of a sum has differences from the mean without its correction",
        is_normed,
        "second_of(sums) - correction * first_of(sums)",
        "second_of(sums)",
    ),
    text(
        "a pair's second Float is left out of a row's sum",
        all,
        "return own + first + second;",
        "return own + first;",
    ),
    text(
        "the kept part of a row ends with its third pair",
        all,
        "var word = pair_word(4u)",
        "var word = pair_word(5u)",
    ),
    text(
        "a deviation lacks epsilon",
        all,
        "inverseSqrt(max(variance, Rows()) + params.epsilon)",
        "inverseSqrt(max(variance, Rows()))",
    ),
    text(
        "the last invocations of a row are left out of its sum",
        all,
        "other < params.lanes; other += 16u",
        "other < params.lanes - 1u; other += 16u",
    ),
    text(
        "the second of two rows has the first one's moments",
        is_normed,
        "return select(rows.x, rows.y, is_second_row(element, half));",
        "return rows.x;",
    ),
    text(
        "the end of a long row has the decisions of its beginning",
        is_normed,
        "keep_words[word] = mask_word(first + word);",
        "keep_words[word] = mask_word(first % WORKGROUP_SIZE + word);",
    ),
    text(
        "the last decisions of the kept part of a row that begins within a mask word are missing",
        is_normed,
        "word < count; word += WORKGROUP_SIZE",
        "word < min(count, WORKGROUP_SIZE); word += WORKGROUP_SIZE",
    ),
    text(
        "the bias before a norm begins at 0 in each dispatch",
        is_normed,
        "(params.bias_start + LANES * own_word) % params.bias_len",
        "LANES * own_word % params.bias_len",
    ),
    text(
        "the gradient of a sum lacks what lies along the row",
        is_normed,
        "(rest - along)",
        "rest",
    ),
    text(
        "the gradient of a sum replaces what it should be added to",
        is_normed,
        "select(grad, decode(half_of(before, half)) + grad, has(ACCUMULATE))",
        "grad",
    ),
    text(
        "dropout behind a norm leaves the gradient's bits",
        is_normed,
        "let kept = select(scaled, bits, params.mask.keep_scale == 1.0);",
        "let kept = bits;",
    ),
    text(
        "the moments of a dispatch replace the first ones'",
        all,
        "3u * (params.first_row + row)",
        "3u * row",
    ),
    text(
        "a softmax does not subtract the largest",
        is_softmaxed,
        "x - of_row(most, element, half)",
        "x",
    ),
    text(
        "a softmax's causality begins anew in each dispatch",
        is_softmaxed,
        "i32(row_of_period(row)) + params.offset + 1",
        "i32(row % params.period_rows) + params.offset + 1",
    ),
    text(
        "a softmax's additive mask has one row",
        is_softmaxed,
        "first_number = rows * params.columns;",
        "",
    ),
    text(
        "a softmax has no least score",
        is_softmaxed,
        "let magnitude = min(bits & Word(0x7fffffffu), Word(bitcast<u32>(limit)));",
        "let magnitude = bits & Word(0x7fffffffu);",
    ),
    text(
        "the second of two rows has the first one's mask",
        is_softmaxed,
        "return select(marks.x, marks.y, is_second_row(element, half));",
        "return marks.x;",
    ),
    text(
        "the gradient of a softmax lacks the mean",
        is_softmaxed,
        "(grads - of_row(grad_mean, element, half))",
        "grads",
    ),
    text(
        "a softmax does not see a NaN",
        is_softmaxed,
        "x = select(x, Float(NAN), of_nan);",
        "",
    ),
    functions(
        "dropout_keep_8 has seven lanes",
        "dropout_keep_blocks(mask, block, block, block, block) & 0xffu",
        "dropout_keep_blocks(mask, block, block, block, block) & 0x7fu",
    ),
    functions(
        "dropout_keep_32 lacks its fifth block's lane 6",
        "return (four >> lane) | (fifth << (32u - lane));",
        "return (four >> lane) | ((fifth & 0xbfu) << (32u - lane));",
    ),
    functions(
        "dropout_keep_at draws once",
        "if mask.threshold_low == 0u || half != bound {",
        "if true {",
    ),
    functions(
        "dropout_index leaves the fourth dimension out",
        "return dropout_index_after(index, coordinates.w, vec2<u32>(strides.w, 0u));",
        "return index;",
    ),
    functions(
        "dropout_index_after has a stride without an upper half",
        "product.y += coordinate * stride.y;",
        "",
    ),
    functions(
        "dropout_value lets dropped NaNs survive",
        "return bitcast<f32>(select(0u, kept, keep));",
        "return bitcast<f32>(select(select(0u, kept, (kept & 0x7fffffffu) > 0x7f800000u), kept, keep));",
    ),
    functions(
        "dropout_alpha drops to 0",
        "return bitcast<f32>(select(bitcast<u32>(mask.dropped_value), kept, keep));",
        "return bitcast<f32>(select(0u, kept, keep));",
    ),
    functions(
        "dropout_gaussian_at has blocks of 32 bits",
        "return vec2<u32>((index.x >> 2u) | (index.y << 30u), index.y >> 2u);",
        "return vec2<u32>((index.x >> 2u) | (index.y << 30u), 0u);",
    ),
];
