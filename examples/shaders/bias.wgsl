// A bias for each column, and its gradient.

override ROWS: u32;
override COLUMNS: u32;
override LEAVES: u32 = 1; // number of parts of the rows; workgroup z makes the gradient of part z

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4<f32>>;

// destination[i, j] += source[j]
@compute @workgroup_size(64)
fn add_bias(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < ROWS * COLUMNS / 4u {
        destination[id.x] += source[id.x % (COLUMNS / 4u)];
    }
}

// destination[j] = sum over i of source[i, j], in the order of the rows
@compute @workgroup_size(64)
fn bias_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= COLUMNS / 4u {
        return;
    }
    var sum = vec4(0.0);
    let leaf = ROWS / LEAVES;
    for (var row = id.z * leaf; row < (id.z + 1u) * leaf; row++) {
        sum += source[row * (COLUMNS / 4u) + id.x];
    }
    destination[id.z * (COLUMNS / 4u) + id.x] = sum;
}
