// Numbers that change from step to step. The host uploads a table of them before an epoch, and a
// dynamic offset chooses the entry. `Step` in examples/mlp/steps.rs has the same layout.

struct Step {
    first: u32, // position of the batch's first example in the epoch's order
    rows: u32, // number of examples in the batch; further rows of the buffers are 0
    step_size: f32, // learning rate / (1 - beta_1^t)
    second_correction: f32, // 1 / sqrt(1 - beta_2^t)
}

@group(1) @binding(0) var<uniform> step: Step;
