// The known answers of tests/data, whose headers say how to read them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bits, round } from './elements.mjs';

// The columns of each line.
const rows = (root, file) =>
  readFileSync(join(root, 'tests/data', file), 'utf8')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split('|').map((cell) => cell.trim()));

const numbers = (text) => text.split(' ').map(Number);
const hexWords = (text) => text.split(' ').map((word) => parseInt(word, 16));

// The words whose bytes are written in hex [M15].
const littleEndianWords = (text) =>
  text.match(/.{8}/g).map((word) => parseInt(word.match(/../g).reverse().join(''), 16));

// D and keep_scale [M8], [M10].
export function rate(p) {
  const threshold = round(p * 2 ** 32);
  const keepScale = threshold === 2 ** 32 ? 0 : Math.fround(1 / (1 - threshold / 2 ** 32));
  return { threshold, keepScale };
}

export const philoxAnswers = (root) =>
  rows(root, 'philox4x32.kat').map(([rounds, counter, key, words]) => ({
    rounds,
    counter: hexWords(counter),
    key: hexWords(key),
    words: hexWords(words),
  }));

export const maskAnswers = (root) =>
  rows(root, 'mask_v1.kat').map(
    ([, seed, stream, p, threshold, scale, shape, strides, origin, , mask]) => {
      const realized = rate(Number(p));
      if (
        realized.threshold !== Number(threshold) ||
        bits(realized.keepScale) !== parseInt(scale, 16)
      ) {
        throw new Error(`p = ${p} gives D = ${realized.threshold}, not ${threshold}`);
      }
      return {
        seed: BigInt(`0x${seed}`),
        stream: BigInt(`0x${stream}`),
        ...realized,
        shape: numbers(shape),
        strides: numbers(strides),
        origin: BigInt(origin),
        mask: littleEndianWords(mask),
      };
    },
  );
