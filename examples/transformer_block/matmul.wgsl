// C = A B for many matrices, the heads of an attention, where they lie in memory: each has its own
// row stride. A and B may be stored transposed. ROWS is a multiple of 16, the other sizes of 8.
// Strides and offsets count vectors of four. An invocation makes 16 x 8 elements, as tiles of 4 x 4
// in registers, since on llvmpipe a load costs more than the products that use it.
// A WGSL matrix is a list of columns, and a tile puts its rows there. The WGSL matrix is thus the
// tile's transpose, and A B becomes b * a.

override ROWS: u32; // of A and C
override COLUMNS: u32; // of B and C
override INNER: u32; // columns of A, rows of B
override HEADS: u32 = 1; // number of matrices in a sample
override A_TRANSPOSED: bool = false; // A is stored as INNER x ROWS
override B_TRANSPOSED: bool = false; // B is stored as COLUMNS x INNER
override A_BEGIN: u32 = 0; // offset of the first matrix
override A_STRIDE: u32; // distance between rows
override A_SAMPLE: u32 = 0; // distance between samples
override A_HEAD: u32 = 0; // distance between heads
override B_BEGIN: u32 = 0;
override B_STRIDE: u32;
override B_SAMPLE: u32 = 0;
override B_HEAD: u32 = 0;
override C_BEGIN: u32 = 0;
override C_STRIDE: u32;
override C_SAMPLE: u32 = 0;
override C_HEAD: u32 = 0;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;

// Tile (row, column) of the matrix A at offset `begin`. Row and column count tiles.
fn tile_a(begin: u32, row: u32, column: u32) -> mat4x4<f32> {
    let i = begin + select(4u * row * A_STRIDE + column, 4u * column * A_STRIDE + row, A_TRANSPOSED);
    let tile = mat4x4(a[i], a[i + A_STRIDE], a[i + 2u * A_STRIDE], a[i + 3u * A_STRIDE]);
    if A_TRANSPOSED {
        return transpose(tile);
    }
    return tile;
}

fn tile_b(begin: u32, row: u32, column: u32) -> mat4x4<f32> {
    let i = begin + select(4u * row * B_STRIDE + column, 4u * column * B_STRIDE + row, B_TRANSPOSED);
    let tile = mat4x4(b[i], b[i + B_STRIDE], b[i + 2u * B_STRIDE], b[i + 3u * B_STRIDE]);
    if B_TRANSPOSED {
        return transpose(tile);
    }
    return tile;
}

fn store(begin: u32, row: u32, column: u32, tile: mat4x4<f32>) {
    let i = begin + 4u * row * C_STRIDE + column;
    c[i] = tile[0];
    c[i + C_STRIDE] = tile[1];
    c[i + 2u * C_STRIDE] = tile[2];
    c[i + 3u * C_STRIDE] = tile[3];
}

@compute @workgroup_size(8, 4)
fn matmul(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let blocks = (ROWS + 63u) / 64u;
    let matrix = workgroup.y / blocks;
    let row = 4u * ((workgroup.y % blocks) * 4u + local.y);
    let column = 2u * (workgroup.x * 8u + local.x);
    if 4u * row >= ROWS || 4u * column >= COLUMNS {
        return;
    }
    let sample = matrix / HEADS;
    let head = matrix % HEADS;
    let a_begin = A_BEGIN + sample * A_SAMPLE + head * A_HEAD;
    let b_begin = B_BEGIN + sample * B_SAMPLE + head * B_HEAD;
    let c_begin = C_BEGIN + sample * C_SAMPLE + head * C_HEAD;
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    var c20 = mat4x4<f32>();
    var c21 = mat4x4<f32>();
    var c30 = mat4x4<f32>();
    var c31 = mat4x4<f32>();
    for (var k = 0u; k < INNER / 4u; k++) {
        let b0 = tile_b(b_begin, k, column);
        let b1 = tile_b(b_begin, k, column + 1u);
        let a0 = tile_a(a_begin, row, k);
        c00 += b0 * a0;
        c01 += b1 * a0;
        let a1 = tile_a(a_begin, row + 1u, k);
        c10 += b0 * a1;
        c11 += b1 * a1;
        let a2 = tile_a(a_begin, row + 2u, k);
        c20 += b0 * a2;
        c21 += b1 * a2;
        let a3 = tile_a(a_begin, row + 3u, k);
        c30 += b0 * a3;
        c31 += b1 * a3;
    }
    store(c_begin, row, column, c00);
    store(c_begin, row, column + 1u, c01);
    store(c_begin, row + 1u, column, c10);
    store(c_begin, row + 1u, column + 1u, c11);
    store(c_begin, row + 2u, column, c20);
    store(c_begin, row + 2u, column + 1u, c21);
    store(c_begin, row + 3u, column, c30);
    store(c_begin, row + 3u, column + 1u, c31);
}
