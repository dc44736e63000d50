// A layer norm and the gradient of its input, each in a pass of its own. The fused norm replaces
// these passes. The text follows chain_rows.wgsl. Its numbers are gamma and beta.
const EPSILON = 1e-5;

// The mean, its correction, and 1 / deviation.
fn moments(first: u32, end: u32, local: u32) -> vec3<f32> {
    var own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        own.x += sum_of(x.low, x.high);
    }
    let mean = total(own, local).x / f32(COLUMNS);
    own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        let low = x.low - mean;
        let high = x.high - mean;
        own += vec2(sum_of(low, high), sum_of(low * low, high * high));
    }
    let all = total(own, local) / f32(COLUMNS);
    return vec3(mean, all.x, inverseSqrt(max(all.y - all.x * all.x, 0.0) + EPSILON));
}

@compute @workgroup_size(256)
fn norm(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let first = row + local % WIDTH;
    let end = min(row + ROW_WORDS, arrayLength(&inputs));
    let m = moments(first, end, local);
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        let g = numbers_of(i - row, 0u);
        let b = numbers_of(i - row, 1u);
        let low = (x.low - m.x - m.y) * m.z * g.low + b.low;
        let high = (x.high - m.x - m.y) * m.z * g.high + b.high;
        result[i] = pack(Numbers(low, high));
    }
}

@compute @workgroup_size(256)
fn norm_gradient(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let first = row + local % WIDTH;
    let end = min(row + ROW_WORDS, arrayLength(&inputs));
    let m = moments(first, end, local);
    var own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        let y = unpack(grads[i]);
        let g = numbers_of(i - row, 0u);
        let low = y.low * g.low;
        let high = y.high * g.high;
        let along_low = low * (x.low - m.x - m.y) * m.z;
        let along_high = high * (x.high - m.x - m.y) * m.z;
        own += vec2(sum_of(low, high), sum_of(along_low, along_high));
    }
    let means = total(own, local) / f32(COLUMNS);
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(inputs[i]);
        let y = unpack(grads[i]);
        let g = numbers_of(i - row, 0u);
        let low = m.z * (y.low * g.low - means.x - (x.low - m.x - m.y) * m.z * means.y);
        let high = m.z * (y.high * g.high - means.x - (x.high - m.x - m.y) * m.z * means.y);
        result[i] = pack(Numbers(low, high));
    }
}
