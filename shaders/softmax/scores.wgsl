// Scores with the factor and the mask applied, as integers of the same order, and their
// exponentials [M26]. WGSL lets an implementation assume that there is neither a NaN nor an
// infinity, so both are found by their bits.

// The largest magnitude of a score. Sums and differences of two such numbers do not overflow f32.
const LIMIT: f32 = 1.7e38;
// For smaller z, e^z is below half of the smallest f32.
const MIN_EXPONENT: f32 = -104.0;
// HIDDEN is the integer of an element that its row does not see, and NAN that of a NaN. No number
// has either.
const HIDDEN: u32 = 0u;
const NAN: u32 = 0xffffffffu;

// The number of columns that each row sees, and the position of its first number in an additive
// mask.
var<private> seen: Marks;
var<private> first_number: Marks;
// The largest score of each row, as an integer and as a number.
var<private> largest: Marks;
var<private> most: Rows;
// The reciprocal of the sum of each row's exponentials.
var<private> reciprocal: Rows;

var<workgroup> lane_marks: array<Marks, WORKGROUP_SIZE>;

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
    let row = row_start / params.columns;
    seen = marks(seen_of(row), seen_of(row + 1u));
    let columns = params.columns;
    first_number = marks(row_of_period(row) * columns, row_of_period(row + 1u) * columns);
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

// Scores as finite numbers, and a mark for each that was a NaN.
struct Scores {
    x: Float,
    of_nan: Keep,
}

// The scores in the lower (`half` = 0) or upper halves (`half` = 1) of a Word, with the factor and
// the mask applied.
fn scores_of(words: Word, element: u32, half: u32) -> Scores {
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
    return Scores(x, of_nan);
}

// The scores as integers of the same order.
fn ordered(words: Word, element: u32, half: u32) -> Word {
    let scores = scores_of(words, element, half);
    let bits = bitcast<Word>(scores.x);
    let is_negative = bits >= Word(0x80000000u);
    let order = bits ^ select(Word(0x80000000u), Word(0xffffffffu), is_negative);
    return select(select(order, Word(NAN), scores.of_nan), Word(HIDDEN), is_hidden(element, half));
}

fn numbers_of(order: Marks) -> Rows {
    let is_negative = order < Marks(0x80000000u);
    return bitcast<Rows>(order ^ select(Marks(0x80000000u), Marks(0xffffffffu), is_negative));
}

// e^(score - largest score of the row). In a row with a NaN the result is arbitrary.
fn exponential(words: Word, element: u32, half: u32) -> Float {
    let distance = scores_of(words, element, half).x - of_row(most, element, half);
    let e = exp(max(distance, Float(MIN_EXPONENT)));
    return select(e, Float(), is_hidden(element, half));
}

// The largest integer that an invocation of the row has.
fn largest_of(own: Marks, local: u32) -> Marks {
    let lane = local % params.lanes;
    lane_marks[local] = own;
    workgroupBarrier();
    if lane < 16u {
        var most = own;
        for (var other = lane + 16u; other < params.lanes; other += 16u) {
            most = max(most, lane_marks[local + other - lane]);
        }
        lane_marks[local] = most;
    }
    workgroupBarrier();
    if lane == 0u {
        var most = lane_marks[local];
        for (var chain = 1u; chain < min(params.lanes, 16u); chain++) {
            most = max(most, lane_marks[local + chain]);
        }
        lane_marks[local] = most;
    }
    workgroupBarrier();
    return lane_marks[local - lane];
}

fn find_largest(local: u32) {
    var own = Marks();
    for (var word = own_word; word < own_end; word += params.lanes) {
        let scores = input_word(word);
        let element = LANES * word;
        own = max(own, in_mark(ordered(scores, element, 0u), element, 0u));
        if has_upper(word) {
            own = max(own, in_mark(ordered(scores, element, 1u), element, 1u));
        }
    }
    largest = largest_of(own, local);
    most = numbers_of(largest);
}

// The exponential of a row's largest score is 1, so the sum is below 0.5 only for a row that sees
// no column: it is 0 then.
fn set_reciprocal(sum: Rows) {
    reciprocal = 1.0 / max(sum, Rows(0.5));
}
