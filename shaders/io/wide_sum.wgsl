// A branch of 16 bits and a sum of f32, four elements of either. Each lane of the branch's `Word` has one.
fn load(index: u32) -> Word {
    let pairs = input[index];
    return vec4(pairs & vec2(0xffffu), pairs >> vec2(16u)).xzyw;
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return output[index];
}
