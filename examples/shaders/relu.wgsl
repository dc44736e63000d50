// max(x, 0) in place.

@group(0) @binding(0) var<storage, read_write> activation: array<vec4<f32>>;

@compute @workgroup_size(64)
fn relu(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&activation) {
        activation[id.x] = max(activation[id.x], vec4(0.0));
    }
}
