// The page's own kernel between forward and backward. The gradient of the loss sum((y - 1/2)^2) / 2 is y - 1/2.

@group(0) @binding(0) var<storage, read> output: array<f32>;
@group(0) @binding(1) var<storage, read_write> grad_output: array<f32>;

@compute @workgroup_size(256)
fn loss_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&output) {
        grad_output[id.x] = output[id.x] - 0.5;
    }
}
