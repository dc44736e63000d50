// What one dispatch over raw Philox blocks is told. Twin: BlockParams in src/plan/params.rs.
struct Params {
    counter: vec4<u32>,
    key: vec2<u32>,
    // Blocks in this dispatch.
    len: u32,
    padding: u32,
}
