// An invocation takes its Words in pairs: two Words of 32-bit elements, or the lower and the upper
// halves of one Word of 16-bit elements. It keeps the numbers of its first four pairs in registers,
// which is all that it has of a row of up to 8,192 elements if a Word has 16 bytes. It reads the
// others again. Variables of their own, and no array, are sure to become registers.
struct Pair {
    first: Float,
    second: Float,
}

struct Held {
    a: Pair,
    b: Pair,
    c: Pair,
    d: Pair,
}

// The sums before a norm; the scores before a softmax, and then their exponentials.
var<private> held: Held;

// The bits of a pair. Both Words are loaded before either is used. Of 16-bit elements both are the
// same Word.
struct Words {
    first: Word,
    second: Word,
}

const HALVES = ELEMENT_BITS == 0xffffu;
// `half` for a pair's second Float.
const SECOND = select(0u, 1u, HALVES);

// The distance of a pair's first Word from that of the next.
fn pair_step() -> u32 {
    return params.lanes * (2u - SECOND);
}

// The first Word of pair `number`.
fn pair_word(number: u32) -> u32 {
    return own_word + number * pair_step();
}

// The Word of a pair's second Float, or the first's if there is none.
fn second_word(word: u32) -> u32 {
    let next = word + params.lanes;
    return select(word, next, !HALVES && next < own_end);
}

// Returns true if a pair has a second Float. The last Word of an odd length of 16-bit elements has
// no upper half.
fn has_second(word: u32) -> bool {
    if HALVES {
        return LANES > 2u || LANES * word + 1u < params.len;
    }
    return word + params.lanes < own_end;
}

// Adds a pair's share to the sums.
fn plus(own: Sums, first: Sums, second: Sums) -> Sums {
    if HALVES {
        return own + (first + second);
    }
    return own + first + second;
}

fn pair_sum(own: Sums, pair: Pair, word: u32) -> Sums {
    let first = in_row(pair.first, LANES * word, 0u);
    let second = in_row(pair.second, LANES * second_word(word), SECOND);
    return plus(own, both(first, Rows()), both(second, Rows()));
}

// The Word to store from the bits of a pair's first Float, and with 16-bit elements those of its
// second.
fn joined(first: Word, second: Word) -> Word {
    return select(first, first | (second << Word(16u)), HALVES);
}

// Returns true if the upper half of a Word is no element of the dispatch, and so keeps its content.
fn has_spare(word: u32) -> bool {
    return LANES == 2u && !has_second(word);
}

fn with_spare(bits: Word, content: Word) -> Word {
    return bits | (content & Word(0xffff0000u));
}
