// The sum's gradient is f32, and the branch's has 16 bits. A Word has four elements of either.
fn load(index: u32) -> Word {
    return input[index];
}

fn store(index: u32, value: Word) {
    output[index] = value.xz | (value.yw << vec2(16u));
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    let pairs = output[index];
    return vec4(pairs & vec2(0xffffu), pairs >> vec2(16u)).xzyw;
}
