// In one buffer with the dimensions, which is not written while input and output are.
@group(0) @binding(2) var<storage, read> params: Params;
