// Numbers that change from step to step: an entry of the table that an epoch's start uploads,
// chosen by a dynamic offset. `Step` in examples/mlp/steps.rs has this layout.

struct Step {
    first: u32, // place of the batch's first example in the epoch's order
    rows: u32, // examples of the batch; the buffers' other rows are zeros
    step_size: f32, // learning rate / (1 - beta_1^t)
    second_correction: f32, // 1 / sqrt(1 - beta_2^t)
}

@group(1) @binding(0) var<uniform> step: Step;
