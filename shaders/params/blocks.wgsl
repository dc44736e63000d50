// Parameters of a dispatch over raw Philox blocks. BlockParams in src/plan/params.rs has this
// layout.
struct Params {
    counter: vec4<u32>,
    key: vec2<u32>,
    // Blocks in this dispatch.
    len: u32,
    padding: u32,
}
