// Calls each function of `wgsl::functions` for an element of a call, and writes the result.
struct Case {
    mask: DropoutMask,
    // Mask indices between elements of dropout_index_after (low, high).
    stride: vec2<u32>,
    // The strides for `dropout_index`.
    strides: array<u32, 4>,
}

@group(0) @binding(0) var<storage, read> cases: array<Case>;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

fn store(index: u32, value: u32) {
    output[index] = value;
}

@compute @workgroup_size(64)
fn call_each(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) size: vec3<u32>) {
    let element = id.x;
    let call = cases[id.y];
    let mask = call.mask;
    let at = 64u * size.x * id.y + element;
    let x = bitcast<f32>(input[at]);
    let strides = vec4<u32>(call.strides[0], call.strides[1], call.strides[2], call.strides[3]);
    // Coordinates of the shape (any, 2, 3, 5).
    let coordinates = vec4<u32>(element / 30u, element / 15u % 2u, element / 5u % 3u, element % 5u);
    let shared_index = dropout_index(mask, coordinates, strides);
    let first = vec2<u32>(mask.first_index_low, mask.first_index_high);
    let far_index = dropout_index_after(first, element, call.stride);
    let keep = dropout_keep(mask, element);
    store(12u * at, u32(keep));
    store(12u * at + 1u, shared_index.x);
    store(12u * at + 2u, shared_index.y);
    store(12u * at + 3u, far_index.x);
    store(12u * at + 4u, far_index.y);
    store(12u * at + 5u, u32(dropout_keep_at(mask, far_index)));
    store(12u * at + 6u, dropout_keep_8(mask, vec2<u32>((far_index.x >> 3u) | (far_index.y << 29u), far_index.y >> 3u)));
    store(12u * at + 7u, dropout_keep_32(mask, element));
    store(12u * at + 8u, bitcast<u32>(dropout_value(mask, x, keep)));
    store(12u * at + 9u, bitcast<u32>(dropout_alpha(mask, x, keep)));
    store(12u * at + 10u, bitcast<u32>(dropout_gaussian(mask, x, element)));
    store(12u * at + 11u, bitcast<u32>(dropout_gaussian_at(mask, x, far_index)));
}
