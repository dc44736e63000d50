// The scores in a range of their own or in the output's, the output, and the probabilities if they
// are stored.
fn input_word(index: u32) -> Word {
    if has(IN_OUTPUT) {
        return output[index];
    }
    return input[index];
}
