// An invocation without vectors has nothing to find before its first element.
fn begin(element: u32) {
}
