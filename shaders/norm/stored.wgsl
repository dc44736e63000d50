// The sum of a row that was stored before.
fn stored_sum() -> Sums {
    var sum = Rows();
    for (var word = own_word; word < own_end; word += params.lanes) {
        let bits = sum_word(word);
        var part = in_row(decode(bits & ELEMENT_BITS), is_second_row(LANES * word));
        if LANES == 2u && LANES * word + 1u < params.len {
            part += in_row(decode(bits >> 16u), is_second_row(LANES * word + 1u));
        }
        sum += part;
    }
    return both(sum, Rows());
}

fn sum_word(index: u32) -> u32 {
    return sum[index];
}
