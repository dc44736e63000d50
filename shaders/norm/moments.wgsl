// Mean and deviation of rows of stored sums, in two passes of which the second corrects the first: the mean of what is
// left by the first one's mean is its error [M25]. One pass loses all digits where the mean is large.
var<private> mean: Rows;
var<private> correction: Rows;
// 1 by the deviation.
var<private> factor: Rows;

fn find_moments(sum: Sums, local: u32) {
    mean = select(first_of(total(sum, local)) * params.reciprocal, Rows(), has(RMS));
    var own = Sums();
    for (var word = own_word; word < own_end; word += params.lanes) {
        let bits = sum_word(word);
        var part = centered(bits & ELEMENT_BITS, LANES * word);
        if LANES == 2u && LANES * word + 1u < params.len {
            part += centered(bits >> 16u, LANES * word + 1u);
        }
        own += part;
    }
    let sums = total(own, local);
    correction = select(first_of(sums) * params.reciprocal, Rows(), has(RMS));
    let variance = second_of(sums) * params.reciprocal - correction * correction;
    factor = inverseSqrt(max(variance, Rows()) + params.epsilon);
}

fn centered(bits: u32, element: u32) -> Sums {
    let is_second = is_second_row(element);
    let d = decode(bits) - of_row(mean, is_second);
    return both(in_row(d, is_second), in_row(d * d, is_second));
}

fn normed(bits: u32, is_second: bool) -> f32 {
    let d = decode(bits) - of_row(mean, is_second);
    return (d - of_row(correction, is_second)) * of_row(factor, is_second);
}
