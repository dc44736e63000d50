// A sum's gradient of f32 and a branch's of 16 bits, four elements of either.
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
