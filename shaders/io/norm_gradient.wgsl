// The gradients of the output and of the sum.
fn load(index: u32) -> Word {
    return gradient[index];
}
