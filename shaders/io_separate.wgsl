// Two buffers. `Word` is 16 bytes or 4 (prelude).
@group(0) @binding(0) var<storage, read> input: array<Word>;
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
