@group(1) @binding(0) var<uniform> params: Params;
