// A layer norm and the gradient of what it is of, each in a pass of its own: what the fused norm takes the place of. WIDTH
// invocations take a row of COLUMNS elements, 16 bytes at a time. Before this text stand the element's `unpack` and `pack`,
// and how many elements 16 bytes have.

@group(0) @binding(0) var<storage, read_write> sums: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> grads: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4<u32>>;
// Gamma and beta.
@group(0) @binding(3) var<storage, read> numbers: array<vec4<f32>>;

const EPSILON = 1e-5;
const ROW_WORDS = COLUMNS / LANES;

// 4 or 8 numbers, those of 16-bit elements by halves of a word.
struct Numbers {
    low: vec4<f32>,
    high: vec4<f32>,
}

// Four numbers of a vector that has COLUMNS.
fn numbers_of(word: u32, vector: u32) -> Numbers {
    let first = (vector * COLUMNS + word * LANES) / 4u;
    let a = numbers[first];
    if LANES == 4u {
        return Numbers(a, a);
    }
    let b = numbers[first + 1u];
    return Numbers(vec4(a.xz, b.xz), vec4(a.yw, b.yw));
}

var<workgroup> partial: array<vec2<f32>, 256>;

fn total(own: vec2<f32>, local: u32) -> vec2<f32> {
    let lane = local % WIDTH;
    workgroupBarrier();
    partial[local] = own;
    workgroupBarrier();
    if lane < 16u {
        var sum = own;
        for (var other = lane + 16u; other < WIDTH; other += 16u) {
            sum += partial[local + other - lane];
        }
        partial[local] = sum;
    }
    workgroupBarrier();
    if lane == 0u {
        var sum = partial[local];
        for (var chain = 1u; chain < min(WIDTH, 16u); chain++) {
            sum += partial[local + chain];
        }
        partial[local] = sum;
    }
    workgroupBarrier();
    return partial[local - lane];
}

fn sum_of(low: vec4<f32>, high: vec4<f32>) -> f32 {
    let sum = dot(low, vec4(1.0));
    return select(sum, sum + dot(high, vec4(1.0)), LANES == 8u);
}

// Mean, its correction, 1 by the deviation.
fn moments(first: u32, end: u32, local: u32) -> vec3<f32> {
    var own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(sums[i]);
        own.x += sum_of(x.low, x.high);
    }
    let mean = total(own, local).x / f32(COLUMNS);
    own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(sums[i]);
        let low = x.low - mean;
        let high = x.high - mean;
        own += vec2(sum_of(low, high), sum_of(low * low, high * high));
    }
    let all = total(own, local) / f32(COLUMNS);
    return vec3(mean, all.x, inverseSqrt(max(all.y - all.x * all.x, 0.0) + EPSILON));
}

fn first_word(workgroup: u32, local: u32) -> u32 {
    return (workgroup * (256u / WIDTH) + local / WIDTH) * ROW_WORDS;
}

@compute @workgroup_size(256)
fn norm(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = first_word(workgroup.x, local);
    let first = row + local % WIDTH;
    let end = min(row + ROW_WORDS, arrayLength(&sums));
    let m = moments(first, end, local);
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(sums[i]);
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
    let end = min(row + ROW_WORDS, arrayLength(&sums));
    let m = moments(first, end, local);
    var own = vec2<f32>();
    for (var i = first; i < end; i += WIDTH) {
        let x = unpack(sums[i]);
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
        let x = unpack(sums[i]);
        let y = unpack(grads[i]);
        let g = numbers_of(i - row, 0u);
        let low = m.z * (y.low * g.low - means.x - (x.low - m.x - m.y) * m.z * means.y);
        let high = m.z * (y.high * g.high - means.x - (x.high - m.x - m.y) * m.z * means.y);
        result[i] = pack(Numbers(low, high));
    }
}
