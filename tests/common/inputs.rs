//! Inputs for every implementation, and the reference's results for them.

use wgpu_dropout::{DropoutCall, DropoutKind, DropoutRate, IndexOverflow, MaskKey, MaskLayout};

use super::vectors::{self, MaskVector};
use super::{compare, reference};

/// A key whose four words all differ.
pub const KEY: MaskKey = MaskKey::new(0x0123_4567_89AB_CDEF, 0x0000_0007_0000_04B0);

const ULP: f64 = 1.0 / 4_294_967_296.0;

/// Rates with thresholds at both ends, with lower 16 bits zero and nonzero, and with scales that
/// only the realised probability gives.
pub const RATES: [f64; 9] = [0.0, 1.0, ULP, 0.1, 0.5, 0.9, 0.999, 0.99999, 1.0 - ULP];

/// Lengths with every remainder of a block and of a mask word, and around a workgroup.
pub const LENGTHS: [u64; 29] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256,
    257, 1000, 4099,
];

/// Origins for `len` elements: several lanes of a block, carries between the counter's words, and
/// the last possible origin, whose mask ends at index 2^64 - 1.
pub fn origins(len: u64) -> Vec<u64> {
    let mut origins = vec![
        0,
        1,
        3,
        7,
        8,
        (1 << 32) - 5,
        1 << 32,
        (1 << 35) - 5,
        (1 << 61) + 3,
        (1 << 63) + 12_345,
    ];
    if len > 0 {
        origins.push(u64::MAX - (len - 1));
    }
    origins
}

/// A call with [`KEY`].
///
/// # Panics
/// If `p` is not a probability.
pub fn call(p: f64, origin: u64) -> DropoutCall {
    let rate = DropoutRate::new(p).expect("a probability");
    DropoutCall::new(rate, KEY).with_origin(origin)
}

/// The error of a call that needs indices past `max`.
pub fn past_last(origin: u64, len: u64, max: u64) -> IndexOverflow {
    IndexOverflow::Call { origin, len, max }
}

/// The kinds of dropout that have a mask.
pub const KINDS: [DropoutKind; 3] = [
    DropoutKind::Inverted,
    DropoutKind::Classic,
    DropoutKind::Alpha,
];

/// [`call`] with a kind.
pub fn kind_call(p: f64, origin: u64, kind: DropoutKind) -> DropoutCall {
    call(p, origin).with_kind(kind)
}

/// Numbers of both signs whose product with any scale is a normal number. A dropped element then
/// never looks kept, and a kept one is only rounded.
pub fn values(len: u64) -> Vec<f32> {
    (0..len)
        .map(|element| {
            let bits = mix(element) as u32;
            let exponent = 64 + (bits >> 23 & 0x7F);
            f32::from_bits(bits & 0x807F_FFFF | exponent << 23)
        })
        .collect()
}

/// Numbers with rules of their own [M11]: NaNs, infinities, zeros, the ends of the normal range.
pub const SPECIALS: [f32; 12] = [
    f32::NAN,
    f32::from_bits(0xFF80_0001),
    f32::from_bits(0x7FC0_1234),
    f32::INFINITY,
    f32::NEG_INFINITY,
    0.0,
    -0.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1.0,
    -1.0,
];

/// The contract's vectors with consecutive mask indices, and their calls.
pub fn linear_vectors() -> Vec<(MaskVector, DropoutCall)> {
    let linear = |vector: &MaskVector| vector.strides == [1];
    let vectors: Vec<_> = vectors::masks()
        .into_iter()
        .filter(linear)
        .map(|vector| {
            let rate = DropoutRate::new(vector.p).expect("a probability");
            let key = MaskKey::new(vector.seed, vector.stream);
            let call = DropoutCall::new(rate, key).with_origin(vector.origin);
            (vector, call)
        })
        .collect();
    assert_eq!(vectors.len(), 44, "all linear vectors");
    vectors
}

/// The indices of `len` elements of `call`. The range ends at 2^64 - 1.
pub fn indices(call: &DropoutCall, len: u64) -> impl Iterator<Item = u64> + use<> {
    let len = usize::try_from(len).expect("a length in memory");
    (call.origin..=u64::MAX).take(len)
}

/// The reference's dropout.
pub fn dropout(call: &DropoutCall, x: &[f32]) -> Vec<f32> {
    let indices = indices(call, x.len() as u64);
    reference::dropout(call.rate.p(), call.key.seed, call.key.stream, indices, x)
}

/// The reference's packed mask.
pub fn packed_mask(call: &DropoutCall, len: u64) -> Vec<u32> {
    let indices = indices(call, len);
    reference::packed_mask(call.rate.p(), call.key.seed, call.key.stream, indices)
}

/// Compares with the reference's dropout: by all bits where nothing is computed, else as products.
pub fn check_dropout(call: &DropoutCall, x: &[f32], got: &[f32]) -> Result<(), String> {
    let compare = match reference::drop_threshold(call.rate.p()) {
        0 | 0x1_0000_0000 => compare::f32_copies,
        _ => compare::f32_bits,
    };
    compare(&dropout(call, x), got)
        .map_err(|difference| format!("{difference}; {call}, {} elements", x.len()))
}

/// The mask indices of a layout's elements, by the reference.
pub fn layout_indices(call: &DropoutCall, layout: &MaskLayout) -> Vec<u64> {
    let origin = call.origin + layout.first_index();
    reference::indices(layout.shape(), layout.strides(), origin)
}

/// The mask indices of samples with these ids [M16], by the reference.
pub fn sample_indices(call: &DropoutCall, layout: &MaskLayout, ids: &[u32]) -> Vec<u64> {
    // A layout of rank 0 is one sample. It has no stride, so its id changes nothing.
    let inner = layout.shape().len().min(1);
    let stride = layout.strides().first().unwrap_or(&0);
    let sample = |id: &u32| {
        let first = call.origin + layout.first_index() + u64::from(*id) * stride;
        reference::indices(&layout.shape()[inner..], &layout.strides()[inner..], first)
    };
    ids.iter().flat_map(sample).collect()
}

/// Compares with the reference's dropout of a layout.
pub fn check_layout(
    call: &DropoutCall,
    layout: &MaskLayout,
    x: &[f32],
    got: &[f32],
) -> Result<(), String> {
    let DropoutCall { rate, key, .. } = call;
    let indices = layout_indices(call, layout).into_iter();
    let expected = reference::dropout(rate.p(), key.seed, key.stream, indices, x);
    compare::f32_bits(&expected, got)
        .map_err(|difference| format!("{difference}; {call}, {layout:?}"))
}

/// Compares with the reference's packed mask of a layout.
pub fn check_layout_mask(
    call: &DropoutCall,
    layout: &MaskLayout,
    got: &[u32],
) -> Result<(), String> {
    check_mask_of(call, layout_indices(call, layout), got)
        .map_err(|difference| format!("{difference}, {layout:?}"))
}

/// Compares with the reference's packed mask of elements with these indices.
pub fn check_mask_of(call: &DropoutCall, indices: Vec<u64>, got: &[u32]) -> Result<(), String> {
    let DropoutCall { rate, key, .. } = call;
    let indices = indices.into_iter();
    let expected = reference::packed_mask(rate.p(), key.seed, key.stream, indices);
    compare::packed_masks(&expected, got).map_err(|difference| format!("{difference}; {call}"))
}

/// Compares with the reference's packed mask.
pub fn check_mask(call: &DropoutCall, len: u64, got: &[u32]) -> Result<(), String> {
    compare::packed_masks(&packed_mask(call, len), got)
        .map_err(|difference| format!("{difference}; {call}, {len} elements"))
}

/// A packed mask of random bits, also in the spare bits after the last element.
pub fn random_mask(len: u64) -> Vec<u32> {
    let word = |word| reference::philox4x32(10, [word, 7, 7, 7], [3, 4])[0];
    (0..len.div_ceil(32) as u32).map(word).collect()
}

/// Sebastiano Vigna's splitmix64.
fn mix(index: u64) -> u64 {
    let mut z = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
