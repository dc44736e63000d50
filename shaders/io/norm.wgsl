// The input, the output, and the sum in a range of its own or in the output's.
fn load(index: u32) -> Word {
    return input[index];
}

fn sum_word(index: u32) -> Word {
    if has(SUM_IN_OUTPUT) {
        return output[index];
    }
    return sum[index];
}

fn store_sum(index: u32, value: Word) {
    if has(SUM_IN_OUTPUT) {
        output[index] = value;
    } else {
        sum[index] = value;
    }
}
