// The output of a kernel of rows.
fn stored(index: u32) -> Word {
    return output[index];
}

fn store(index: u32, value: Word) {
    output[index] = value;
}

fn store_pair(word: u32, first: Word, second: Word) {
    var bits = joined(first, second);
    if has_spare(word) {
        bits = with_spare(first, stored(word));
    }
    store(word, bits);
    if !HALVES && has_second(word) {
        store(second_word(word), second);
    }
}
