// The input and the output of an activation in two ranges, or an output that overwrites the input.
fn load(index: u32) -> Word {
    if (params.mode & IN_PLACE) != 0u {
        return output[index];
    }
    return input[index];
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return output[index];
}

fn begin(element: u32) {
    begin_biases(element);
}
