// Rows of COLUMNS elements. WIDTH invocations share a row and take 16 bytes at a time. The host
// puts before this text the element type's `unpack` and `pack`, and the number of elements in 16
// bytes; after it come the passes.

@group(0) @binding(0) var<storage, read_write> inputs: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> grads: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4<u32>>;
// Vectors of COLUMNS numbers, one after the other.
@group(0) @binding(3) var<storage, read> numbers: array<vec4<f32>>;

const ROW_WORDS = COLUMNS / LANES;

// 4 or 8 numbers. 16-bit elements come as the low and the high halves of words.
struct Numbers {
    low: vec4<f32>,
    high: vec4<f32>,
}

// Four numbers of a vector of COLUMNS numbers.
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

fn first_word(workgroup: u32, local: u32) -> u32 {
    return (workgroup * (256u / WIDTH) + local / WIDTH) * ROW_WORDS;
}
