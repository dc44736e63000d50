// Scores with the factor and the mask applied, and their exponentials [M26]. WGSL lets an
// implementation assume that there is neither a NaN nor an infinity, so both are found by their
// bits.

// The largest magnitude of a score.
const LIMIT: f32 = 1.7e38;
// NAN stands for a score that is a NaN, and -NAN for one that its row does not see. No score has
// this magnitude. Sums and differences of two such numbers do not overflow f32.
const NAN: f32 = 1.701e38;
// For smaller z, e^z is below half of the smallest f32.
const MIN_EXPONENT: f32 = -104.0;

// The number of columns that each row sees, and the position of its first number in an additive
// mask.
var<private> seen: Marks;
var<private> first_number: Marks;
// The largest score of each row, and the reciprocal of the sum of its exponentials.
var<private> most: Rows;
var<private> reciprocal: Rows;

var<workgroup> lane_most: array<Rows, WORKGROUP_SIZE>;

// The row of the additive mask, or of a causal matrix, that belongs to row number `row` of the
// dispatch.
fn row_of_period(row: u32) -> u32 {
    // A remainder of first_row + row could be wrong, since this sum may overflow 32 bits.
    let left = params.period_rows - params.first_row;
    return select((row - left) % params.period_rows, params.first_row + row, row < left);
}

fn seen_of(row: u32) -> u32 {
    if !has(CAUSAL) {
        return params.columns;
    }
    // Rows and columns are 2^24 at most, the offset 2^25 in magnitude.
    let count = i32(row_of_period(row)) + params.offset + 1;
    return u32(clamp(count, 0, i32(params.columns)));
}

fn begin_masks() {
    seen = marks(seen_of(own_row), seen_of(own_row + 1u));
    if has(ADDITIVE) {
        let rows = marks(row_of_period(own_row), row_of_period(own_row + 1u));
        first_number = rows * params.columns;
    }
}

fn is_nan(x: Float) -> Keep {
    return (bitcast<Word>(x) & Word(0x7fffffffu)) > Word(0x7f800000u);
}

fn limited(x: Float, limit: f32) -> Float {
    let bits = bitcast<Word>(x);
    let magnitude = min(bits & Word(0x7fffffffu), Word(bitcast<u32>(limit)));
    return bitcast<Float>(magnitude | (bits & Word(0x80000000u)));
}

fn is_hidden(element: u32, half: u32) -> Keep {
    return columns_of(element, half) >= Word(mark_of(seen, element, half));
}

// The scores in the lower (`half` = 0) or upper halves (`half` = 1) of a Word, with the factor and
// the mask applied.
fn scores_of(words: Word, element: u32, half: u32) -> Float {
    let score = decode(half_of(words, half));
    var of_nan = is_nan(score);
    var x = params.factor * limited(score, params.score_limit);
    if has(ADDITIVE) {
        let first = mark_of(first_number, element, half);
        let number = vector_at(first + column_of(element, half), half, 0u);
        of_nan = of_nan | is_nan(number);
        let limited_number = limited(number, LIMIT);
        // The sum is finite, so `clamp` is safe here.
        x = clamp(x + limited_number, Float(-LIMIT), Float(LIMIT));
        x = select(x, Float(-LIMIT), limited_number == Float(-LIMIT));
    }
    x = select(x, Float(NAN), of_nan);
    if has(CAUSAL) {
        x = select(x, Float(-NAN), is_hidden(element, half));
    }
    return x;
}

// The bits of a pair's scores or stored probabilities.
fn input_words(word: u32) -> Words {
    let first = input_word(word);
    if HALVES {
        return Words(first, first);
    }
    return Words(first, input_word(second_word(word)));
}

fn pair_scores(word: u32) -> Pair {
    let words = input_words(word);
    var pair = Pair(scores_of(words.first, LANES * word, 0u), Float(-NAN));
    if has_second(word) {
        pair.second = scores_of(words.second, LANES * second_word(word), SECOND);
    }
    return pair;
}

// e^(score - largest score of the row). In a row with a NaN the result is arbitrary.
fn exponential(x: Float, element: u32, half: u32) -> Float {
    return exp(max(x - of_row(most, element, half), Float(MIN_EXPONENT)));
}

fn exponentials(scores: Pair, word: u32) -> Pair {
    return Pair(
        exponential(scores.first, LANES * word, 0u),
        exponential(scores.second, LANES * second_word(word), SECOND),
    );
}

// The largest number that an invocation of the row has.
fn largest_of(own: Rows, local: u32) -> Rows {
    let lane = lane_of(local);
    lane_most[local] = own;
    workgroupBarrier();
    if lane < 16u {
        var largest = own;
        for (var other = lane + 16u; other < params.lanes; other += 16u) {
            largest = max(largest, lane_most[local + other - lane]);
        }
        lane_most[local] = largest;
    }
    workgroupBarrier();
    if lane == 0u {
        var largest = lane_most[local];
        for (var chain = 1u; chain < min(params.lanes, 16u); chain++) {
            largest = max(largest, lane_most[local + chain]);
        }
        lane_most[local] = largest;
    }
    workgroupBarrier();
    return lane_most[local - lane];
}

fn largest_in(pair: Pair, word: u32) -> Rows {
    return max(
        most_of(pair.first, LANES * word, 0u),
        most_of(pair.second, LANES * second_word(word), SECOND),
    );
}

fn find_largest(local: u32) {
    var own = Rows(-NAN);
    if pair_word(0u) < own_end {
        held.a = pair_scores(pair_word(0u));
        own = largest_in(held.a, pair_word(0u));
    }
    if pair_word(1u) < own_end {
        held.b = pair_scores(pair_word(1u));
        own = max(own, largest_in(held.b, pair_word(1u)));
    }
    if pair_word(2u) < own_end {
        held.c = pair_scores(pair_word(2u));
        own = max(own, largest_in(held.c, pair_word(2u)));
    }
    if pair_word(3u) < own_end {
        held.d = pair_scores(pair_word(3u));
        own = max(own, largest_in(held.d, pair_word(3u)));
    }
    for (var word = pair_word(4u); word < own_end; word += pair_step()) {
        own = max(own, largest_in(pair_scores(word), word));
    }
    most = largest_of(own, local);
}

fn has_nan(element: u32, half: u32) -> bool {
    return of_row(most, element, half) > LIMIT;
}

// The sum is 0 only for a row that no element has. For all others it is at least 1, the exponential
// of the largest score.
fn set_reciprocal(sum: Rows) {
    reciprocal = 1.0 / max(sum, Rows(0.5));
}
