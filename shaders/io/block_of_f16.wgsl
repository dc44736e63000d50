// Writes a mask block of inverted dropout in f16 by the conversions of WGSL. They may flush
// subnormals, round in either direction and turn an overflow into any number, so that only a caller
// who found them exact on a device asks for this text (audit::f16_conversions).
fn scaled(pair: u32, even: bool, odd: bool) -> u32 {
    let products = bitcast<vec2<u32>>(unpack2x16float(pair) * params.mask.keep_scale);
    let kept = select(vec2<u32>(0u), products, vec2<bool>(even, odd));
    return pack2x16float(bitcast<vec2<f32>>(kept));
}

fn write_lanes(n: u32, even: Keep, odd: Keep) {
    let word = load(n);
    let x = scaled(word.x, even.x, odd.x);
    let y = scaled(word.y, even.y, odd.y);
    let z = scaled(word.z, even.z, odd.z);
    let w = scaled(word.w, even.w, odd.w);
    store(n, Word(x, y, z, w));
}
