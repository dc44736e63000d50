// The noise of consecutive mask indices that begin in any lane. Lanes are those of
// value/chain.wgsl.

// Four numbers in a row, from lane `lane` of the dispatch's block `n` on. If two rows share a
// block, compilers see it and compute it once.
fn noise_row(n: u32, lane: u32) -> vec4<f32> {
    let first = dropout_normal_block_of(dropout_first_index(params.mask));
    let a = dropout_normals(params.mask, dropout_advance(first, n));
    let b = dropout_normals(params.mask, dropout_advance(first, n + 1u));
    let by_two = (lane & 2u) != 0u;
    let row = select(a, vec4<f32>(a.zw, b.xy), by_two);
    let fifth = select(b.x, b.z, by_two);
    return select(row, vec4<f32>(row.yzw, fifth), (lane & 1u) != 0u);
}

fn noise(element: u32, half: u32) -> Float {
    let lane = params.mask.first_index_low & 3u;
    let n = element >> 2u;
    let a = noise_row(n, lane);
    if LANES == 4u {
        return a;
    }
    let b = noise_row(n + 1u, lane);
    return select(Float(a.x, a.z, b.x, b.z), Float(a.y, a.w, b.y, b.w), half == 1u);
}
