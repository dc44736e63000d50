// A gate, its other factor (up), and the output.
fn load(index: u32) -> Word {
    return input[gate_place(index)];
}

fn up_word(index: u32) -> Word {
    if params.columns != 0u {
        return input[up_place(index)];
    }
    return up[index];
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

// The output's content before the store.
fn stored(index: u32) -> Word {
    return output[index];
}
