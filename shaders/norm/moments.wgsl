// The mean and the deviation of rows of stored sums, in two passes over a row [M25]. The second
// pass adds the differences from the first pass's mean, and their squares. The mean of these
// differences is the rounding error of the first mean, and corrects it. One pass alone would lose
// all digits where the mean is large.
var<private> mean: Rows;
var<private> correction: Rows;
// 1 / deviation.
var<private> factor: Rows;

fn find_mean(sum: Sums, local: u32) {
    mean = select(first_of(total(sum, local)) * params.reciprocal, Rows(), has(RMS));
}

fn find_moments(sum: Sums, local: u32) {
    find_mean(sum, local);
    var own = Sums();
    for (var word = own_word; word < own_end; word += params.lanes) {
        own += centered_word(sum_word(word), word);
    }
    set_moments(total(own, local));
}

// Sets the moments from the sums of the differences from the mean, and of their squares.
fn set_moments(sums: Sums) {
    correction = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));
    let variance = second_of(sums) * params.reciprocal - correction * correction;
    factor = inverseSqrt(max(variance, Rows()) + params.epsilon);
}

fn centered_word(sums: Word, word: u32) -> Sums {
    var part = centered(sums, LANES * word, 0u);
    if has_upper(word) {
        part += centered(sums, LANES * word, 1u);
    }
    return part;
}

fn centered(sums: Word, element: u32, half: u32) -> Sums {
    let d = decode(half_of(sums, half)) - of_row(mean, element, half);
    return both(in_row(d, element, half), in_row(d * d, element, half));
}

// The normed numbers in one half of a Word.
fn normed(sums: Word, element: u32, half: u32) -> Float {
    let d = decode(half_of(sums, half)) - of_row(mean, element, half);
    return (d - of_row(correction, element, half)) * of_row(factor, element, half);
}
