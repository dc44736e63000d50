// Writes a mask block of elements of 32 bits. `even` and `odd` are the decisions of its lanes.
fn write_lanes(n: u32, even: Keep, odd: Keep) {
    let i = 2u * n;
    store(i, value(load(i), Keep(even.x, odd.x, even.y, odd.y), 8u * n, 0u));
    store(i + 1u, value(load(i + 1u), Keep(even.z, odd.z, even.w, odd.w), 8u * n + 4u, 0u));
}
