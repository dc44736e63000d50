// A bias, a scale, a residual and an activation, each in a pass of its own. The fused operations
// replace this chain. An invocation takes 8 times 16 bytes, as in the library's copy. The host puts
// before this text the element type's `unpack` and `pack`, and the number of elements in 16 bytes.

@group(0) @binding(0) var<storage, read_write> input: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> numbers: array<vec4<f32>>;

// 4 or 8 numbers. 16-bit elements come as the low and the high halves of words.
struct Numbers {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn numbers_of(i: u32) -> Numbers {
    let first = (i * LANES) % (4u * arrayLength(&numbers)) / 4u;
    let a = numbers[first];
    if LANES == 4u {
        return Numbers(a, a);
    }
    let b = numbers[first + 1u];
    return Numbers(vec4(a.xz, b.xz), vec4(a.yw, b.yw));
}

// The factor on x in gelu by tanh.
fn gate(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp(-1.5957691 * x * (1.0 + 0.044715 * x * x)));
}

fn gelu_tanh_slope(x: vec4<f32>) -> vec4<f32> {
    let s = gate(x);
    return s * (1.0 + 1.5957691 * x * (1.0 + 0.134145 * x * x) * (1.0 - s));
}

fn add_vector_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(input[i]);
    let b = numbers_of(i);
    output[i] = pack(Numbers(x.low + b.low, x.high + b.high));
}

fn scale_vector_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(input[i]);
    let s = numbers_of(i);
    output[i] = pack(Numbers(x.low * s.low, x.high * s.high));
}

fn add_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(input[i]);
    let y = unpack(output[i]);
    output[i] = pack(Numbers(x.low + y.low, x.high + y.high));
}

fn relu_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(output[i]);
    output[i] = pack(Numbers(max(x.low, vec4(0.0)), max(x.high, vec4(0.0))));
}

fn gelu_tanh_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(output[i]);
    output[i] = pack(Numbers(x.low * gate(x.low), x.high * gate(x.high)));
}

fn relu_gradient_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(input[i]);
    let b = numbers_of(i);
    let g = unpack(output[i]);
    let low = select(vec4(0.0), g.low, x.low + b.low > vec4(0.0));
    let high = select(vec4(0.0), g.high, x.high + b.high > vec4(0.0));
    output[i] = pack(Numbers(low, high));
}

fn gelu_tanh_gradient_at(i: u32) {
    if i >= arrayLength(&input) {
        return;
    }
    let x = unpack(input[i]);
    let b = numbers_of(i);
    let g = unpack(output[i]);
    output[i] = pack(Numbers(g.low * gelu_tanh_slope(x.low + b.low), g.high * gelu_tanh_slope(x.high + b.high)));
}

// Adds the bias.
@compute @workgroup_size(256)
fn add_vector(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    add_vector_at(i);
    add_vector_at(i + 1u);
    add_vector_at(i + 2u);
    add_vector_at(i + 3u);
    add_vector_at(i + 4u);
    add_vector_at(i + 5u);
    add_vector_at(i + 6u);
    add_vector_at(i + 7u);
}

@compute @workgroup_size(256)
fn scale_vector(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    scale_vector_at(i);
    scale_vector_at(i + 1u);
    scale_vector_at(i + 2u);
    scale_vector_at(i + 3u);
    scale_vector_at(i + 4u);
    scale_vector_at(i + 5u);
    scale_vector_at(i + 6u);
    scale_vector_at(i + 7u);
}

// Adds the input to the output, so that a residual stream is updated in place.
@compute @workgroup_size(256)
fn add(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    add_at(i);
    add_at(i + 1u);
    add_at(i + 2u);
    add_at(i + 3u);
    add_at(i + 4u);
    add_at(i + 5u);
    add_at(i + 6u);
    add_at(i + 7u);
}

// Applies the activation to the output, in place.
@compute @workgroup_size(256)
fn relu(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    relu_at(i);
    relu_at(i + 1u);
    relu_at(i + 2u);
    relu_at(i + 3u);
    relu_at(i + 4u);
    relu_at(i + 5u);
    relu_at(i + 6u);
    relu_at(i + 7u);
}

@compute @workgroup_size(256)
fn gelu_tanh(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    gelu_tanh_at(i);
    gelu_tanh_at(i + 1u);
    gelu_tanh_at(i + 2u);
    gelu_tanh_at(i + 3u);
    gelu_tanh_at(i + 4u);
    gelu_tanh_at(i + 5u);
    gelu_tanh_at(i + 6u);
    gelu_tanh_at(i + 7u);
}

// The output holds the gradient after dropout's backward, the input the numbers to which the bias
// is added.
@compute @workgroup_size(256)
fn relu_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    relu_gradient_at(i);
    relu_gradient_at(i + 1u);
    relu_gradient_at(i + 2u);
    relu_gradient_at(i + 3u);
    relu_gradient_at(i + 4u);
    relu_gradient_at(i + 5u);
    relu_gradient_at(i + 6u);
    relu_gradient_at(i + 7u);
}

@compute @workgroup_size(256)
fn gelu_tanh_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = 8u * id.x;
    gelu_tanh_gradient_at(i);
    gelu_tanh_gradient_at(i + 1u);
    gelu_tanh_gradient_at(i + 2u);
    gelu_tanh_gradient_at(i + 3u);
    gelu_tanh_gradient_at(i + 4u);
    gelu_tanh_gradient_at(i + 5u);
    gelu_tanh_gradient_at(i + 6u);
    gelu_tanh_gradient_at(i + 7u);
}
