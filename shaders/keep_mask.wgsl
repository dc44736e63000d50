// The packed keep mask [M15] of consecutive mask indices: an invocation makes one word.
// Twin: src/cpu/mask.rs.
@group(0) @binding(0) var<storage, read_write> mask: array<u32>;

// Bit l = lane l, 1 = kept.
fn keep_bits(block: vec2<u32>) -> u32 {
    let keep = keep_block(block);
    let even = select(vec4<u32>(), vec4<u32>(1u, 4u, 16u, 64u), keep.even);
    let odd = select(vec4<u32>(), vec4<u32>(2u, 8u, 32u, 128u), keep.odd);
    let bits = even | odd;
    return bits.x | bits.y | bits.z | bits.w;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn keep_mask(@builtin(global_invocation_id) id: vec3<u32>) {
    let word = id.x;
    let element = 32u * word;
    if element >= params.len {
        return;
    }
    var bits = 0u;
    for (var i = 0u; i < 4u; i++) {
        bits |= keep_bits(block_at(4u * word + i)) << (8u * i);
    }
    if params.first_lane != 0u {
        // The word begins inside its first block and ends inside a fifth.
        let fifth = keep_bits(block_at(4u * word + 4u));
        bits = (bits >> params.first_lane) | (fifth << (32u - params.first_lane));
    }
    let left = params.len - element;
    if left < 32u {
        bits &= (1u << left) - 1u;
    }
    mask[word] = bits;
}
