// Element types: bits, numbers and words. Only normal numbers and +0.

export const TYPES = {
  f32: { size: 4, fraction: 23, bias: 127 },
  f16: { size: 2, fraction: 10, bias: 15 },
  bf16: { size: 2, fraction: 7, bias: 127 },
};

// To the nearest integer, ties to even.
export function round(number) {
  const nearest = Math.round(number);
  return nearest - number === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}

// The bits of an f32.
export const bits = (number) => new Uint32Array(new Float32Array([number]).buffer)[0];

// The number with these bits.
export function number({ size, fraction, bias }, bits) {
  if (bits === 0) return 0;
  const sign = bits >>> (8 * size - 1) ? -1 : 1;
  const exponent = (bits >>> fraction) & (2 * bias + 1);
  return sign * (1 + (bits % 2 ** fraction) / 2 ** fraction) * 2 ** (exponent - bias);
}

// The type's nearest number [M11].
export function nearest({ fraction }, x) {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - fraction);
  return round(x / unit) * unit;
}

// Bits of numbers of both signs from 1/16 to 16, none like another nearby.
export function inputs({ size, fraction, bias }, len) {
  return Array.from({ length: len }, (_, i) => {
    const random = Math.imul(i + 1, 0x9e3779b9) >>> 0;
    const sign = (random >>> 31) << (8 * size - 1);
    const exponent = (bias - 4 + (random % 8)) << fraction;
    return (sign | exponent | ((random >>> 8) % 2 ** fraction)) >>> 0;
  });
}

// Elements in words.
export function pack({ size }, elements) {
  if (size === 4) return elements;
  const pair = (i) => (elements[2 * i] | ((elements[2 * i + 1] ?? 0) << 16)) >>> 0;
  return Array.from({ length: Math.ceil(elements.length / 2) }, (_, i) => pair(i));
}

// Element `e` of words.
export function unpack({ size }, words, e) {
  return size === 4 ? words[e] : (words[e >> 1] >>> (16 * (e & 1))) & 0xffff;
}
