// A kept value: one f32 product [M11]. `Float` is the f32 of `Word`'s shape (prelude).
fn kept_value(bits: Word) -> Word {
    return bitcast<Word>(bitcast<Float>(bits) * params.keep_scale);
}
