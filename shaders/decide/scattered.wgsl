// Any strides: the decision of each element is computed by itself.
fn keep_bit(element: u32) -> u32 {
    return u32(dropout_keep_at(params.mask, element_index(element)));
}

fn scattered_word(word: u32) -> u32 {
    var bits = 0u;
    // The test is at the end, since llvmpipe executes a loop with its test at the top once more
    // (measured).
    var i = 0u;
    loop {
        let first = 32u * word + i;
        bits |= keep_bit(first) << i;
        bits |= keep_bit(first + 1u) << (i + 1u);
        bits |= keep_bit(first + 2u) << (i + 2u);
        bits |= keep_bit(first + 3u) << (i + 3u);
        i += 4u;
        continuing {
            break if i == 32u;
        }
    }
    return bits;
}
