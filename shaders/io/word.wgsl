// Writes one `Word` of elements. `keep` is the mask word of 32 elements that include it, with bit l
// for element l.
fn write_word(i: u32, keep: u32) {
    if LANES * i >= params.len {
        return;
    }
    var word = Word();
    if !SKIP_DROPPED || keep != 0u {
        word = load(i);
    }
    word = dropped_out(word, keep >> ((LANES * i) & 31u), LANES * i);
    if LANES == 2u && 2u * i + 1u == params.len {
        // The spare half after an odd length keeps its content.
        word = (word & Word(0xffffu)) | (stored(i) & Word(0xffff0000u));
    }
    store(i, word);
}
