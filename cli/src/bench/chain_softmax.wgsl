// A factor and an additive mask, a softmax, and their gradients, each in a pass of its own. The
// fused softmax replaces these passes. The text follows chain_rows.wgsl. Its numbers are the mask,
// one row for all rows.
const FACTOR = 0.125;

fn largest_of(own: f32, local: u32) -> f32 {
    let lane = local % WIDTH;
    workgroupBarrier();
    partial[local].x = own;
    workgroupBarrier();
    if lane < 16u {
        var most = own;
        for (var other = lane + 16u; other < WIDTH; other += 16u) {
            most = max(most, partial[local + other - lane].x);
        }
        partial[local].x = most;
    }
    workgroupBarrier();
    if lane == 0u {
        var most = partial[local].x;
        for (var chain = 1u; chain < min(WIDTH, 16u); chain++) {
            most = max(most, partial[local + chain].x);
        }
        partial[local].x = most;
    }
    workgroupBarrier();
    return partial[local - lane].x;
}

fn most_of(low: vec4<f32>, high: vec4<f32>) -> f32 {
    let pairs = max(low, select(low, high, LANES == 8u));
    return max(max(pairs.x, pairs.y), max(pairs.z, pairs.w));
}

@compute @workgroup_size(256)
fn scale_and_mask(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let end = min(row + ROW_WORDS, arrayLength(&inputs));
    for (var i = row + local % WIDTH; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        let mask = numbers_of(i - row, 0u);
        result[i] = pack(Numbers(FACTOR * x.low + mask.low, FACTOR * x.high + mask.high));
    }
}

@compute @workgroup_size(256)
fn softmax(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let first = row + local % WIDTH;
    let end = min(row + ROW_WORDS, arrayLength(&inputs));
    var most = -3.4e38;
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        most = max(most, most_of(x.low, x.high));
    }
    most = largest_of(most, local);
    var own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        own.x += sum_of(exp(x.low - most), exp(x.high - most));
    }
    let reciprocal = 1.0 / total(own, local).x;
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        result[i] = pack(Numbers(exp(x.low - most) * reciprocal, exp(x.high - most) * reciprocal));
    }
}

@compute @workgroup_size(256)
fn softmax_gradient(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let first = row + local % WIDTH;
    let end = min(row + ROW_WORDS, arrayLength(&inputs));
    var own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let p = unpack(inputs[i]);
        let grad = unpack(grads[i]);
        own.x += sum_of(p.low * grad.low, p.high * grad.high);
    }
    let mean = total(own, local).x;
    for (var i = first; i < end; i += WIDTH) {
        let p = unpack(inputs[i]);
        let grad = unpack(grads[i]);
        result[i] = pack(Numbers(p.low * (grad.low - mean), p.high * (grad.high - mean)));
    }
}

@compute @workgroup_size(256)
fn scale(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let end = min(row + ROW_WORDS, arrayLength(&inputs));
    for (var i = row + local % WIDTH; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        result[i] = pack(Numbers(FACTOR * x.low, FACTOR * x.high));
    }
}
