// Adam (Kingma and Ba 2015) for all parameters at once. The host puts step.wgsl before this text.

override L1: f32; // the loss includes L1 times the sum of the weights' magnitudes
override L2: f32; // the loss includes L2 / 2 times the sum of the squared weights
override DECAYED: u32; // number of weights; the biases after them are not decayed

const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-8;

@group(0) @binding(0) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> first_moments: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> second_moments: array<vec4<f32>>;

@compute @workgroup_size(64)
fn adam(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&parameters) {
        return;
    }
    let decay = L1 * sign(parameters[i]) + L2 * parameters[i];
    let gradient = gradients[i] + select(vec4(0.0), decay, 4u * i < DECAYED);
    let first = BETA_1 * first_moments[i] + (1.0 - BETA_1) * gradient;
    let second = BETA_2 * second_moments[i] + (1.0 - BETA_2) * gradient * gradient;
    first_moments[i] = first;
    second_moments[i] = second;
    parameters[i] -= step.step_size * first / (sqrt(second) * step.second_correction + EPSILON);
}
