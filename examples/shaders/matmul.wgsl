// C = A B in row-major order. A and B may be stored transposed. Every dimension is a multiple of 8.
// An invocation makes 8 x 8 elements of C, as four tiles of 4 x 4 in registers. It needs no
// workgroup memory and no barrier, and always adds in the same order.
// A WGSL matrix is a list of columns, and a tile puts its rows there. The WGSL matrix is thus the
// tile's transpose, and A B becomes b * a.

override ROWS: u32; // of A and C
override COLUMNS: u32; // of B and C
override INNER: u32; // columns of A, rows of B
override LEAVES: u32 = 1; // number of parts of INNER; workgroup z makes the C of part z
override A_TRANSPOSED: bool = false; // A is stored as INNER x ROWS
override B_TRANSPOSED: bool = false; // B is stored as COLUMNS x INNER

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;

// Tile (row, column) of A; both count tiles.
fn tile_a(row: u32, column: u32) -> mat4x4<f32> {
    if A_TRANSPOSED {
        let i = column * ROWS + row;
        let stride = ROWS / 4u;
        return transpose(mat4x4(a[i], a[i + stride], a[i + 2u * stride], a[i + 3u * stride]));
    }
    let i = row * INNER + column;
    let stride = INNER / 4u;
    return mat4x4(a[i], a[i + stride], a[i + 2u * stride], a[i + 3u * stride]);
}

fn tile_b(row: u32, column: u32) -> mat4x4<f32> {
    if B_TRANSPOSED {
        let i = column * INNER + row;
        let stride = INNER / 4u;
        return transpose(mat4x4(b[i], b[i + stride], b[i + 2u * stride], b[i + 3u * stride]));
    }
    let i = row * COLUMNS + column;
    let stride = COLUMNS / 4u;
    return mat4x4(b[i], b[i + stride], b[i + 2u * stride], b[i + 3u * stride]);
}

fn store(row: u32, column: u32, tile: mat4x4<f32>) {
    let i = row * COLUMNS + column;
    let stride = COLUMNS / 4u;
    c[i] = tile[0];
    c[i + stride] = tile[1];
    c[i + 2u * stride] = tile[2];
    c[i + 3u * stride] = tile[3];
}

@compute @workgroup_size(8, 8)
fn matmul(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = 2u * id.y;
    let column = 2u * id.x;
    if 4u * row >= ROWS || 4u * column >= COLUMNS {
        return;
    }
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    let leaf = INNER / 4u / LEAVES;
    for (var k = id.z * leaf; k < (id.z + 1u) * leaf; k++) {
        let a0 = tile_a(row, k);
        let a1 = tile_a(row + 1u, k);
        let b0 = tile_b(k, column);
        let b1 = tile_b(k, column + 1u);
        c00 += b0 * a0;
        c01 += b1 * a0;
        c10 += b0 * a1;
        c11 += b1 * a1;
    }
    let row_of_c = id.z * (ROWS / 4u) + row;
    store(row_of_c, column, c00);
    store(row_of_c, column + 1u, c01);
    store(row_of_c + 1u, column, c10);
    store(row_of_c + 1u, column + 1u, c11);
}
