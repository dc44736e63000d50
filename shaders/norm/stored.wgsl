// The sum over a row, computed from its stored elements.
fn stored_sum() -> Sums {
    var own = Sums();
    if pair_word(0u) < own_end {
        held.a = stored_pair(pair_word(0u));
        own = pair_sum(own, held.a, pair_word(0u));
    }
    if pair_word(1u) < own_end {
        held.b = stored_pair(pair_word(1u));
        own = pair_sum(own, held.b, pair_word(1u));
    }
    if pair_word(2u) < own_end {
        held.c = stored_pair(pair_word(2u));
        own = pair_sum(own, held.c, pair_word(2u));
    }
    if pair_word(3u) < own_end {
        held.d = stored_pair(pair_word(3u));
        own = pair_sum(own, held.d, pair_word(3u));
    }
    for (var word = pair_word(4u); word < own_end; word += pair_step()) {
        own = pair_sum(own, stored_pair(word), word);
    }
    return own;
}

fn sum_word(index: u32) -> Word {
    return sum[index];
}
