// Dropout where runs of a multiple of 4 * RUN_VECTORS elements (prelude) share a decision: an
// invocation draws once for so many and does not read what is dropped. Twin: src/cpu/dropout.rs.
@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout_runs(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = RUN_VECTORS * id.x;
    if first >= params.len / 4u {
        return;
    }
    if keep_index(index_after(4u * first, DIMENSIONS)) {
        for (var i = first; i < first + RUN_VECTORS; i++) {
            store(i, value(load(i), Keep(true)));
        }
    } else {
        for (var i = first; i < first + RUN_VECTORS; i++) {
            store(i, value(Word(), Keep(false)));
        }
    }
}
