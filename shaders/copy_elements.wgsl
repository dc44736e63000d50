// The bit copy that a rate of 0 is [M11], for any length: eight elements an invocation.
fn copy_element(element: u32) {
    if element < params.len {
        store(element, load(element));
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn copy_elements(@builtin(global_invocation_id) id: vec3<u32>) {
    let element = 8u * id.x;
    copy_element(element);
    copy_element(element + 1u);
    copy_element(element + 2u);
    copy_element(element + 3u);
    copy_element(element + 4u);
    copy_element(element + 5u);
    copy_element(element + 6u);
    copy_element(element + 7u);
}
