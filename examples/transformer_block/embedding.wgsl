// Copies the rows of a table that the tokens name, and makes the table's gradient. The host puts
// examples/shaders/step.wgsl before this text.

override ROWS: u32; // of the batch
override COLUMNS: u32; // of a row

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> tokens: array<vec2<u32>>; // token, next token
@group(0) @binding(2) var<storage, read_write> destination: array<vec4<f32>>;

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let width = COLUMNS / 4u;
    let row = id.x / width;
    if row < ROWS {
        let token = tokens[step.first + row].x;
        destination[id.x] = source[token * width + id.x % width];
    }
}

// An invocation adds the rows of its token in their order, so that a run repeats bit for bit.
@compute @workgroup_size(64)
fn embed_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    let width = COLUMNS / 4u;
    let token = id.x / width;
    if id.x >= arrayLength(&destination) {
        return;
    }
    var sum = vec4(0.0);
    for (var row = 0u; row < ROWS; row++) {
        if tokens[step.first + row].x == token {
            sum += source[row * width + id.x % width];
        }
    }
    destination[id.x] = sum;
}
