//! Conversions of elements: as bits (16-bit types in the lower half of a `u32`), and as they lie in
//! memory.

use wgpu_dropout::{Element, ElementType};

use super::reference::{BF16, F16, philox4x32};

/// The number that an element stands for.
pub fn number(element: ElementType, bits: u32) -> f32 {
    match element {
        ElementType::F16 => F16.number(bits as u16),
        ElementType::Bf16 => BF16.number(bits as u16),
        _ => f32::from_bits(bits),
    }
}

/// The element nearest to a number.
pub fn nearest(element: ElementType, number: f64) -> u32 {
    match element {
        ElementType::F16 => F16.nearest(number).into(),
        ElementType::Bf16 => BF16.nearest(number).into(),
        _ => (number as f32).to_bits(),
    }
}

/// The error of an element as a fraction of its bound. A 16-bit element passes if a number within
/// the bound rounds to it. Its fraction is 0, since its error is mostly that rounding.
pub fn ratio(element: ElementType, got: u32, exact: f64, bound: f64) -> Result<f64, String> {
    let got = f64::from(number(element, got));
    let ratio = match (got - exact).abs() {
        0.0 => 0.0,
        error => error / bound,
    };
    let end = |end| f64::from(number(element, nearest(element, end)));
    match element {
        ElementType::F32 if ratio <= 1.0 => Ok(ratio),
        ElementType::F16 | ElementType::Bf16
            if (end(exact - bound)..=end(exact + bound)).contains(&got) =>
        {
            Ok(0.0)
        }
        _ => Err(format!("{got:e}, not {exact:e} within {bound:e}")),
    }
}

/// Random bits, from a key that no test's mask uses.
pub fn random(index: u64, salt: u32) -> u32 {
    philox4x32(10, [index as u32, (index >> 32) as u32, salt, 0], [5, 6])[0]
}

/// Elements with these bits.
pub fn typed<T: Element>(bits: &[u32]) -> Vec<T> {
    if size_of::<T>() == 4 {
        return bytemuck::cast_slice(bits).to_vec();
    }
    let halves: Vec<u16> = bits.iter().map(|&bits| bits as u16).collect();
    bytemuck::cast_slice(&halves).to_vec()
}

/// The bits of elements.
pub fn bits<T: Element>(elements: &[T]) -> Vec<u32> {
    if size_of::<T>() == 4 {
        return bytemuck::cast_slice(elements).to_vec();
    }
    let halves: &[u16] = bytemuck::cast_slice(elements);
    halves.iter().map(|&half| half.into()).collect()
}

/// The words of a buffer. The unused half behind an odd length gets bits that no test's element
/// has.
pub fn packed(element: ElementType, bits: &[u32]) -> Vec<u32> {
    if element.bytes() == 4 {
        return bits.to_vec();
    }
    let pair = |pair: &[u32]| pair[0] | pair.get(1).unwrap_or(&0xbeef) << 16;
    bits.chunks(2).map(pair).collect()
}

/// The bits of `len` elements in a buffer's words.
pub fn unpacked(element: ElementType, len: usize, words: &[u32]) -> Vec<u32> {
    if element.bytes() == 4 {
        return words.to_vec();
    }
    let halves = words.iter().flat_map(|word| [word & 0xffff, word >> 16]);
    halves.take(len).collect()
}

/// Elements of magnitude up to `size`; one in 16 has random bits instead.
pub fn random_elements(element: ElementType, len: u64, size: f64, salt: u32) -> Vec<u32> {
    let one = |index| {
        let bits = random(index, salt);
        match (bits & 15, element) {
            (0, ElementType::F32) => random(index, salt + 10),
            (0, _) => random(index, salt + 10) & 0xffff,
            _ => nearest(element, size * f64::from(bits as i32) / 2.0f64.powi(31)),
        }
    };
    (0..len).map(one).collect()
}
