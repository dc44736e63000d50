// The decisions of a workgroup's elements, up to CHUNK elements at a time. Each invocation draws
// one mask word, the first a second one if the elements do not begin with a mask word. Any
// invocation may read them.
const CHUNK = 32u * WORKGROUP_SIZE;

var<workgroup> keep_words: array<u32, WORKGROUP_SIZE + 1u>;

// Where the workgroup's elements begin and end. They are more than CHUNK only if it has one row.
fn elements_of(workgroup: u32) -> vec2<u32> {
    let count = units() * elements_at_once();
    return vec2<u32>(workgroup * count, min((workgroup + 1u) * count, params.len));
}

// The decisions of the elements from `chunk` on. The workgroup's elements end at `end`.
// Kernels draw the first ones before they read the row, so that the generator's registers and the
// numbers that an invocation keeps are not in use at once.
fn draw(chunk: u32, end: u32, local: u32) {
    let first = chunk / 32u;
    let count = (min(chunk + CHUNK, end) + 31u) / 32u - first;
    workgroupBarrier();
    for (var word = local; word < count; word += WORKGROUP_SIZE) {
        keep_words[word] = mask_word(first + word);
    }
    workgroupBarrier();
}

// The decisions of the elements in the lower (`half` = 0) or upper halves (`half` = 1) of a Word.
fn is_kept(element: u32, half: u32, chunk: u32) -> Keep {
    let bits = keep_words[element / 32u - chunk / 32u] >> ((element & 31u) + half);
    return (Word(bits) & LANE_BITS) != Word();
}

// The end of the invocation's Words that lie in the elements from `chunk` on.
fn end_in(chunk: u32) -> u32 {
    return min(own_end, (chunk + CHUNK) / LANES);
}
