// Kernels without vectors need no preparation before an invocation's first element.
fn begin(element: u32) {
}
