// One `Word` of elements: bit l of `keep` is for element l of the mask word that it lies in.
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
        // The spare half behind an odd length stays as it was.
        word = (word & Word(0xffffu)) | (stored(i) & Word(0xffff0000u));
    }
    store(i, word);
}
