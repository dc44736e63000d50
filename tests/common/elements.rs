//! Elements as bits, those of 16-bit types in the lower half of a word, and as they lie in memory.

use wgpu_dropout::{Element, ElementType};

/// Elements of these bits.
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

/// The words of a buffer. A spare half has bits that no test's element has.
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
