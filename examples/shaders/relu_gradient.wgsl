// The gradient passes where the activation is positive. Where dropout made the activation 0, the
// gradient is 0 already, so it does not matter.

@group(0) @binding(0) var<storage, read> activation: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4<f32>>;

@compute @workgroup_size(64)
fn relu_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&activation) {
        gradient[id.x] = select(vec4(0.0), gradient[id.x], activation[id.x] > vec4(0.0));
    }
}
