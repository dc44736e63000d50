// The decisions of a workgroup's elements, 256 mask words at a time. Each invocation draws one
// word, and any invocation may read it.
var<workgroup> keep_words: array<u32, WORKGROUP_SIZE>;

// Where the workgroup's mask words begin and end.
fn chunks(workgroup: u32) -> vec2<u32> {
    let elements = WORKGROUP_SIZE / params.lanes * elements_at_once();
    let first = workgroup * elements;
    return vec2<u32>(first / 32u, (min(first + elements, params.len) + 31u) / 32u);
}

// The decisions of 256 mask words, from `chunk` on.
fn draw(chunk: u32, local: u32) {
    workgroupBarrier();
    if 32u * (chunk + local) < params.len {
        keep_words[local] = mask_word(chunk + local);
    }
    workgroupBarrier();
}

// The decisions of the elements in the lower (`half` = 0) or upper halves (`half` = 1) of a Word.
fn is_kept(element: u32, half: u32, chunk: u32) -> Keep {
    let bits = keep_words[element / 32u - chunk] >> ((element & 31u) + half);
    return (Word(bits) & LANE_BITS) != Word();
}

// The end of the invocation's Words that lie in the 256 mask words from `chunk` on.
fn end_in(chunk: u32) -> u32 {
    return min(own_end, 32u / LANES * (chunk + WORKGROUP_SIZE));
}
