// Scores or probabilities, the gradient of the scores, and the gradient of the output, in a range
// of its own or in that of the scores' gradient.
fn input_word(index: u32) -> Word {
    return input[index];
}

fn load(index: u32) -> Word {
    if has(IN_OUTPUT) {
        return output[index];
    }
    return gradient[index];
}
