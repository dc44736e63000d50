// The branch has 16 bits, and the sum is f32. A Word has four elements of either, one in each lane.
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
