//! The gpu tier: each trial on each adapter of the machine.
fn main() {}
