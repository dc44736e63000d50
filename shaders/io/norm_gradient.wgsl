// The gradients of the output and of the sum.
fn load(index: u32) -> Word {
    return gradient[index];
}

fn stored(index: u32) -> Word {
    return output[index];
}

fn store(index: u32, value: Word) {
    output[index] = value;
}
