// The sum over a row, computed from its stored elements.
fn stored_sum() -> Sums {
    var sum = Rows();
    for (var word = own_word; word < own_end; word += params.lanes) {
        let bits = sum_word(word);
        var part = in_row(decode(half_of(bits, 0u)), LANES * word, 0u);
        if has_upper(word) {
            part += in_row(decode(half_of(bits, 1u)), LANES * word, 1u);
        }
        sum += part;
    }
    return both(sum, Rows());
}

fn sum_word(index: u32) -> Word {
    return sum[index];
}
