// The noise of elements in whole mask blocks: elements 8 n to 8 n + 7 are two blocks of domain 2
// [M18]. Lanes are those of value/chain.wgsl.
fn noise(element: u32, half: u32) -> Float {
    let block = block_number(element >> 3u);
    let first = vec2<u32>(block.x << 1u, (block.y << 1u) | (block.x >> 31u));
    let second = vec2<u32>(first.x | 1u, first.y);
    if LANES == 4u {
        let is_second = (element & 4u) != 0u;
        return dropout_normals(params.mask, select(first, second, is_second));
    }
    let a = dropout_normals(params.mask, first);
    let b = dropout_normals(params.mask, second);
    return select(Float(a.x, a.z, b.x, b.z), Float(a.y, a.w, b.y, b.w), half == 1u);
}
