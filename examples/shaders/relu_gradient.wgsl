// The gradient passes where the activation is positive. One that dropout has zeroed may count as not
// positive: its gradient is zero already.

@group(0) @binding(0) var<storage, read> activation: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4<f32>>;

@compute @workgroup_size(64)
fn relu_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&activation) {
        gradient[id.x] = select(vec4(0.0), gradient[id.x], activation[id.x] > vec4(0.0));
    }
}
