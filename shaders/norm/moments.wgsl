// The mean and the deviation of rows of sums, in two passes over a row [M25]. The second pass adds
// the differences from the first pass's mean, and their squares. The mean of these differences is
// the rounding error of the first mean, and corrects it. One pass alone would lose all digits where
// the mean is large.
var<private> mean: Rows;
var<private> correction: Rows;
// 1 / deviation.
var<private> factor: Rows;

// A pair of stored sums.
fn stored_pair(word: u32) -> Pair {
    let first = sum_word(word);
    var second = first;
    if !HALVES {
        second = sum_word(second_word(word));
    }
    var pair = Pair(decode(half_of(first, 0u)), Float());
    if has_second(word) {
        pair.second = decode(half_of(second, SECOND));
    }
    return pair;
}

fn find_mean(sum: Sums, local: u32) {
    mean = select(first_of(total(sum, local)) * params.reciprocal, Rows(), has(RMS));
}

fn find_moments(sum: Sums, local: u32) {
    find_mean(sum, local);
    var own = Sums();
    if pair_word(0u) < own_end {
        own = add_centered(own, held.a, pair_word(0u));
    }
    if pair_word(1u) < own_end {
        own = add_centered(own, held.b, pair_word(1u));
    }
    if pair_word(2u) < own_end {
        own = add_centered(own, held.c, pair_word(2u));
    }
    if pair_word(3u) < own_end {
        own = add_centered(own, held.d, pair_word(3u));
    }
    for (var word = pair_word(4u); word < own_end; word += pair_step()) {
        own = add_centered(own, stored_pair(word), word);
    }
    set_moments(total(own, local));
}

// Sets the moments from the sums of the differences from the mean, and of their squares.
fn set_moments(sums: Sums) {
    correction = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));
    let variance = second_of(sums) * params.reciprocal - correction * correction;
    factor = inverseSqrt(max(variance, Rows()) + params.epsilon);
}

fn add_centered(own: Sums, sums: Pair, word: u32) -> Sums {
    let first = centered(sums.first, LANES * word, 0u);
    var second = Sums();
    if has_second(word) {
        second = centered(sums.second, LANES * second_word(word), SECOND);
    }
    return plus(own, first, second);
}

fn centered(sum: Float, element: u32, half: u32) -> Sums {
    let d = sum - of_row(mean, element, half);
    return both(in_row(d, element, half), in_row(d * d, element, half));
}

fn normed(sum: Float, element: u32, half: u32) -> Float {
    let d = sum - of_row(mean, element, half);
    return (d - of_row(correction, element, half)) * of_row(factor, element, half);
}
