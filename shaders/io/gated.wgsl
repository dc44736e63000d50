// A gate, what it lets up, and the output.
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

// What the output holds already.
fn stored(index: u32) -> Word {
    return output[index];
}
