// Two disjoint ranges of one buffer, which may not be bound as `read` and `read_write` at once.
@group(0) @binding(0) var<storage, read_write> input: array<Word>;
@group(0) @binding(1) var<storage, read_write> output: array<Word>;

fn load(index: u32) -> Word {
    return input[index];
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

// What the output holds already.
fn stored(index: u32) -> Word {
    return output[index];
}
