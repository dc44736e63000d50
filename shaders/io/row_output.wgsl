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

// Writes the results of the pairs that the invocation kept.
fn write_held(chunk: u32) {
    if pair_word(0u) < own_end {
        write_pair(held.a, pair_word(0u), chunk);
    }
    if pair_word(1u) < own_end {
        write_pair(held.b, pair_word(1u), chunk);
    }
    if pair_word(2u) < own_end {
        write_pair(held.c, pair_word(2u), chunk);
    }
    if pair_word(3u) < own_end {
        write_pair(held.d, pair_word(3u), chunk);
    }
}
