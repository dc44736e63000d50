// One range, read and overwritten.
@group(0) @binding(0) var<storage, read_write> data: array<Word>;

fn load(index: u32) -> Word {
    return data[index];
}

fn store(index: u32, value: Word) {
    data[index] = value;
}

// What the output holds already.
fn stored(index: u32) -> Word {
    return data[index];
}
