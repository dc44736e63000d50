// Any strides: each element draws for itself.
fn keep_bit(element: u32) -> u32 {
    return u32(keep_index(index_after(element, DIMENSIONS)));
}

fn mask_word(n: u32) -> u32 {
    var bits = 0u;
    // Ends at the bottom: software adapters run a loop's body once more than it turns.
    var i = 0u;
    loop {
        let first = 32u * n + i;
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
