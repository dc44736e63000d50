// Calls each function of `wgsl::functions` once for each element and writes the results.
struct Params {
    @align(16) mask: DropoutMask,
    // Distance between elements in mask indices, for dropout_index_after (low, high).
    stride: vec2<u32>,
    len: u32,
}

@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn call_each(@builtin(global_invocation_id) id: vec3<u32>) {
    let element = id.x;
    if element >= params.len {
        return;
    }
    let mask = params.mask;
    let x = input[element];
    // The layout (elements / 36, 3, 4, 3) with strides (7, 5, 3, 1).
    let coordinates = vec4<u32>(element / 36u, element / 12u % 3u, element / 3u % 4u, element % 3u);
    let shared_index = dropout_index(mask, coordinates, vec4<u32>(7u, 5u, 3u, 1u));
    let first = vec2<u32>(mask.first_index_low, mask.first_index_high);
    let far_index = dropout_index_after(first, element, params.stride);
    let keep = dropout_keep(mask, element);
    let block = vec2<u32>((far_index.x >> 3u) | (far_index.y << 29u), far_index.y >> 3u);
    let at = 10u * element;
    output[at] = u32(keep);
    output[at + 1u] = u32(dropout_keep_at(mask, shared_index));
    output[at + 2u] = u32(dropout_keep_at(mask, far_index));
    output[at + 3u] = dropout_keep_8(mask, block);
    output[at + 4u] = dropout_keep_32(mask, element);
    output[at + 5u] = bitcast<u32>(dropout_value(mask, x, keep));
    output[at + 6u] = bitcast<u32>(dropout_alpha(mask, x, keep));
    output[at + 7u] = bitcast<u32>(dropout_gaussian(mask, x, element));
    output[at + 8u] = bitcast<u32>(dropout_gaussian_at(mask, x, far_index));
    output[at + 9u] = far_index.x ^ far_index.y;
}
