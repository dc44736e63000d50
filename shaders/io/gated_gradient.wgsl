// The gradient of the output, and gate and up in one of three forms. They are two ranges, `input`
// and `output`, which their gradients overwrite. Or they are rows of two halves in `input`, and
// their gradients go to `output`. Or they are such rows in `output`, which their gradients
// overwrite (IN_PLACE).
fn load(index: u32) -> Word {
    return gradient[index];
}

fn gate_word(index: u32) -> Word {
    if (params.mode & IN_PLACE) != 0u {
        return output[gate_place(index)];
    }
    return input[gate_place(index)];
}

fn up_word(index: u32) -> Word {
    if params.columns != 0u && (params.mode & IN_PLACE) == 0u {
        return input[up_place(index)];
    }
    return output[up_place(index)];
}

fn store(index: u32, value: Word) {
    if params.columns != 0u {
        output[gate_place(index)] = value;
        output[up_place(index)] = grad_up;
        return;
    }
    input[index] = value;
    // As for the gate's gradient, the spare half after an odd length keeps its content.
    var word = grad_up;
    if LANES == 2u && 2u * index + 1u == params.len {
        word = (word & Word(0xffffu)) | (output[index] & Word(0xffff0000u));
    }
    output[index] = word;
}

// The content that the gate's gradient overwrites, for the spare half after an odd length. Rows of
// halves have an even length, so this always reads `input`.
fn stored(index: u32) -> Word {
    return input[index];
}
