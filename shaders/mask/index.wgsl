// The mask index of an element [M13]. 64-bit numbers are (low, high). Needs DropoutMask (mask.wgsl)
// and dropout_mul_wide (the product).

fn dropout_add_wide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + u32(low < b.x));
}

// `number` plus `steps`, for the number of an index or of a block.
fn dropout_advance(number: vec2<u32>, steps: u32) -> vec2<u32> {
    return dropout_add_wide(number, vec2<u32>(steps, 0u));
}

fn dropout_first_index(mask: DropoutMask) -> vec2<u32> {
    return vec2<u32>(mask.first_index_low, mask.first_index_high);
}

// The mask index of `element`, which is counted from the mask's first index. Mask indices are
// consecutive.
fn dropout_index_of(mask: DropoutMask, element: u32) -> vec2<u32> {
    return dropout_advance(dropout_first_index(mask), element);
}

// `index` plus `coordinate` times `stride`: adds one dimension of a layout, whose stride may have
// 64 bits.
fn dropout_index_after(index: vec2<u32>, coordinate: u32, stride: vec2<u32>) -> vec2<u32> {
    var product = dropout_mul_wide(coordinate, stride.x);
    product.y += coordinate * stride.y;
    return dropout_add_wide(index, product);
}

// The mask index at `coordinates` of a layout of up to four dimensions with strides below 2^32. A
// stride of 0 shares decisions along its dimension.
fn dropout_index(mask: DropoutMask, coordinates: vec4<u32>, strides: vec4<u32>) -> vec2<u32> {
    var index = dropout_first_index(mask);
    index = dropout_index_after(index, coordinates.x, vec2<u32>(strides.x, 0u));
    index = dropout_index_after(index, coordinates.y, vec2<u32>(strides.y, 0u));
    index = dropout_index_after(index, coordinates.z, vec2<u32>(strides.z, 0u));
    return dropout_index_after(index, coordinates.w, vec2<u32>(strides.w, 0u));
}
