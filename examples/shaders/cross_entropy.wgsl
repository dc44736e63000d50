// Log-probabilities of the classes, and the gradient of the mean cross-entropy, which overwrites
// the logits. An invocation takes a row. Padding rows after the batch get a gradient of 0. Padding
// columns after the classes hold 0 and keep it. The host puts step.wgsl before this text.

override ROWS: u32; // of the logits' buffer
override COLUMNS: u32; // of the logits' buffer
override CLASSES: u32; // number of logits that are not padding

@group(0) @binding(0) var<storage, read> order: array<vec2<u32>>; // example, label
@group(0) @binding(1) var<storage, read_write> logits: array<f32>; // overwritten by their gradient
// Rows in the epoch's order, with COLUMNS numbers each.
@group(0) @binding(2) var<storage, read_write> log_probabilities: array<f32>;

@compute @workgroup_size(8)
fn cross_entropy(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if row >= ROWS {
        return;
    }
    let begin = row * COLUMNS;
    if row >= step.rows {
        for (var c = 0u; c < CLASSES; c++) {
            logits[begin + c] = 0.0;
        }
        return;
    }
    // The largest logit is subtracted, so that no exponential overflows.
    var greatest = logits[begin];
    for (var c = 1u; c < CLASSES; c++) {
        greatest = max(greatest, logits[begin + c]);
    }
    var sum = 0.0;
    for (var c = 0u; c < CLASSES; c++) {
        sum += exp(logits[begin + c] - greatest);
    }
    let log_sum = greatest + log(sum);

    let place = step.first + row;
    let label = order[place].y;
    for (var c = 0u; c < CLASSES; c++) {
        let log_probability = logits[begin + c] - log_sum;
        log_probabilities[place * COLUMNS + c] = log_probability;
        let target_probability = select(0.0, 1.0, c == label);
        logits[begin + c] = (exp(log_probability) - target_probability) / f32(step.rows);
    }
}

// A single logit for two classes: the softmax over 0 and the logit. CLASSES is not used.
@compute @workgroup_size(8)
fn binary_cross_entropy(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if row >= ROWS {
        return;
    }
    let begin = row * COLUMNS;
    if row >= step.rows {
        logits[begin] = 0.0;
        return;
    }
    let logit = logits[begin];
    let log_sum = max(logit, 0.0) + log(1.0 + exp(-abs(logit)));
    let place = step.first + row;
    log_probabilities[place * COLUMNS] = -log_sum;
    log_probabilities[place * COLUMNS + 1u] = logit - log_sum;
    logits[begin] = (exp(logit - log_sum) - f32(order[place].y)) / f32(step.rows);
}
