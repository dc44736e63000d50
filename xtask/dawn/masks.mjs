// Masks and dropout on Dawn, by a host that knows kernels.json, the comments in the texts, the
// documentation of `wgpu_dropout::wgsl` and the mask contract [M...], and none of the library's code.
// They give the known answers of tests/data, to the bit, and the mask hash of the records in adapters.
// Prints a line for each kernel that is wrong, and last how many ran.
// Usage: node masks.mjs FOLDER ROOT
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { maskAnswers, philoxAnswers, rate } from './answers.mjs';
import { device, dispatch } from './dispatch.mjs';
import { TYPES, bits, inputs, nearest, number, pack, unpack } from './elements.mjs';
import { portableKernels } from './kernels.mjs';
import { equivalents, fits } from './layouts.mjs';

const [folder, root] = process.argv.slice(2);

const split = (number) => [Number(number & 0xffffffffn), Number(number >> 32n)];
const range = (len, f) => Array.from({ length: len }, (_, i) => f(i));
const UNWRITTEN = 0xdeadbeef;

// The maps of a kept and of a dropped value, by keep_scale [M10]. The affine map's results are exact, whether the
// adapter fuses its two steps or not.
const VALUES = {
  scale: (keepScale) => ({ scale: keepScale, shift: 0, dropped: 0 }),
  keep: () => ({ scale: 1, shift: 0, dropped: 0 }),
  affine: () => ({ scale: 0.5, shift: 0.25, dropped: -0.75 }),
};

// `Params` for `len` elements, the first of them at `index`.
function maskParams({ seed, stream, threshold }, index, len, { scale, shift, dropped }) {
  const halves = [Math.floor(threshold / 2 ** 16), threshold % 2 ** 16];
  const sigma = 0;
  const values = [scale, shift, dropped, sigma].map(bits);
  const mask = [...split(seed), ...split(stream), ...split(index), ...halves, ...values];
  const firstWord = 0;
  return [...mask, len, firstWord, ...split(index >> 3n)];
}

// n / size is (n * multiplier >> 31) >> shift.
function division(size) {
  const shift = Math.ceil(Math.log2(size));
  const multiplier = (2n ** BigInt(31 + shift) + BigInt(size) - 1n) / BigInt(size);
  return [Number(multiplier), shift];
}

// `Dimension`s in eight slots: the innermost in the last, samples with ids in the first.
function slots({ shape, strides }, sampleIds) {
  const slots = range(8, () => [1, 0, 0, 0, ...division(1), 0, 0]);
  shape.forEach((size, d) => {
    const slot = d === 0 && sampleIds ? 0 : 8 - shape.length + d;
    slots[slot] = [size, 0, ...split(BigInt(strides[d])), ...division(size), 0, 0];
  });
  return slots.flat();
}

// The first fault in a kernel's results for a known answer in one of its layouts, or undefined.
async function complaint(kernel, code, answer, { shape, strides }) {
  const { fields } = kernel;
  const len = shape.reduce((product, size) => product * size);
  // Samples in reverse order.
  const ids = range(shape[0], (i) => shape[0] - 1 - i);
  const inSample = len / shape[0];
  const place = (e) =>
    fields['sample-ids'] === 'yes' ? ids[Math.floor(e / inSample)] * inSample + (e % inSample) : e;
  const keeps = (e) => ((answer.mask[place(e) >> 5] >>> (place(e) & 31)) & 1) === 1;

  const values = VALUES[fields.value ?? 'scale'](answer.keepScale);
  const first = fields.mask === 'packed' ? 0n : answer.origin;
  const dimensions = slots({ shape, strides }, fields['sample-ids'] === 'yes');
  const params = maskParams(answer, first, len, values);
  if (fields.params === 'bound' && fields.dimensions) params.push(...dimensions);

  if (fields.kernel === 'keep-mask') {
    const mask = answer.mask.map(() => UNWRITTEN);
    const got = await dispatch(kernel, code, len, { mask, sample_ids: ids, dimensions, params });
    const bit = (e) => (e < len && keeps(e) ? 1 << (e & 31) : 0);
    const expected = range(mask.length, (word) =>
      range(32, (i) => bit(32 * word + i)).reduce((bits, bit) => bits | bit) >>> 0);
    const wrong = expected.findIndex((mask, word) => got[word] !== mask);
    return wrong < 0 ? undefined : `mask word ${wrong} is ${got[wrong]}, not ${expected[wrong]}`;
  }

  const type = TYPES[fields.dtype];
  const x = inputs(type, len);
  const words = pack(type, x);
  const got = await dispatch(kernel, code, len, {
    input: words,
    output: words.map(() => UNWRITTEN),
    data: words,
    mask: answer.mask,
    sample_ids: ids,
    dimensions,
    params,
  });
  const expected = (e) => {
    const input = number(type, x[e]);
    if (fields.kernel === 'copy') return input;
    const { scale, shift, dropped } = values;
    return keeps(e) ? nearest(type, Math.fround(input * scale + shift)) : dropped;
  };
  const result = (e) => number(type, unpack(type, got, e));
  const wrong = x.findIndex((_, e) => result(e) !== expected(e));
  return wrong < 0 ? undefined : `element ${wrong} is ${result(wrong)}, not ${expected(wrong)}`;
}

// The first fault of the functions for kernels of one's own, for an answer whose mask indices are consecutive, or
// undefined. Noise has a bound and no known answers.
async function wrongFunction(kernel, answer) {
  const len = answer.shape[0];
  const type = TYPES.f32;
  const x = inputs(type, len);
  const values = VALUES.affine();
  const mask = maskParams(answer, answer.origin, len, values).slice(0, 12);
  const stride = [1, 0];
  const output = range(10 * len, () => UNWRITTEN);
  const params = [...mask, ...stride, len, 0];
  const got = await dispatch(kernel, kernel.code, len, { input: pack(type, x), output, params });
  const keeps = (e) => (answer.mask[e >> 5] >>> (e & 31)) & 1;
  const known = (e) => Math.min(32, len - e);
  const word = (e) => range(known(e), (i) => keeps(e + i) << i).reduce((a, b) => a | b) >>> 0;
  // The driver's layout.
  const shared = (e) =>
    7 * Math.floor(e / 36) + 5 * (Math.floor(e / 12) % 3) + 3 * (Math.floor(e / 3) % 4) + (e % 3);
  const lane = (e) => Number((answer.origin + BigInt(e)) % 8n);
  // Results in the order of tests/gpu/functions.wgsl, and what they must be.
  const compared = (e, result) => {
    const { scale, shift, dropped } = values;
    const input = number(type, x[e]);
    const kept = keeps(e) === 1;
    const [low, high] = split(answer.origin + BigInt(e));
    return [
      ['keep', result[0], keeps(e)],
      ['index', result[1], keeps(shared(e))],
      ['keep_at', result[2], keeps(e)],
      ['keep_8', (result[3] >>> lane(e)) & 1, keeps(e)],
      ['keep_32', (result[4] & (2 ** known(e) - 1)) >>> 0, word(e)],
      ['value', result[5], bits(kept ? input * scale : 0)],
      ['alpha', result[6], bits(kept ? input * scale + shift : dropped)],
      ['index_after', result[9], (low ^ high) >>> 0],
    ];
  };
  for (let e = 0; e < len; e++) {
    const row = compared(e, got.subarray(10 * e, 10 * e + 10));
    const wrong = row.find(([, result, expected]) => result !== expected);
    if (wrong) return `${wrong[0]} of element ${e} is ${wrong[1]}, not ${wrong[2]}`;
  }
  return undefined;
}

const kernels = portableKernels(folder);
const named = (wanted) =>
  kernels.find(({ fields }) =>
    Object.entries(wanted).every(([name, value]) => fields[name] === value));
const isMask = ({ fields }) => fields.kernel === 'keep-mask';
// Noise has a bound and no known answers.
const isDropout = ({ fields }) =>
  (fields.kernel === 'dropout' && fields.value !== 'noise') || fields.kernel === 'copy';
const keepMask = kernels.find(isMask);

const answers = maskAnswers(root);
// The answers and layouts that a kernel is right for, as the arguments of `complaint`.
const fitting = ({ fields }) =>
  answers.flatMap((answer) =>
    equivalents(answer)
      .filter((layout) => fits(fields, layout, answer.origin))
      .map((layout) => [answer, layout]));

// A host that finds nothing wrong with another generator compares nothing.
const half = answers.find(({ threshold, mask }) => threshold === 2 ** 31 && mask.length > 1);
for (const kernel of [keepMask, named({ kernel: 'dropout', mask: 'linear', access: 'words' })]) {
  const other = kernel.code.replace('0xD2511F53', '0xD2511F51');
  if (!(await complaint(kernel, other, half, half))) throw new Error('a changed constant passes');
}

// Adapters without a GPU compile a pipeline in a quarter of a second. Kernels of masks give all
// answers; of the others each eleventh, coprime to the numbers of variants, gives three.
const chosen = [
  ...kernels.filter(isMask).map((kernel) => [kernel, fitting(kernel)]),
  ...kernels
    .filter(isDropout)
    .map((kernel) => [kernel, fitting(kernel)])
    .filter(([, cases]) => cases.length > 0)
    .filter((_, k) => k % 11 === 0)
    .map(([kernel, cases], k) => [kernel, range(3, (i) => cases[(3 * k + i) % cases.length])]),
].filter(([, cases]) => cases.length > 0);
for (const [kernel, cases] of chosen) {
  const complaints = await Promise.all(
    cases.map(([answer, layout]) => complaint(kernel, kernel.code, answer, layout)),
  );
  const wrong = complaints.find((complaint) => complaint);
  if (wrong) console.log(`${kernel.file}: ${wrong}`);
}

for (const { rounds, counter, key, words } of philoxAnswers(root)) {
  const kernel = named({ kernel: 'philox-blocks', rounds });
  const params = [...counter, ...key, 1, 0];
  const got = await dispatch(kernel, kernel.code, 1, { blocks: [0, 0, 0, 0], params });
  if (words.some((word, i) => got[i] !== word)) {
    console.log(`${kernel.file}: ${got} of counter ${counter}, key ${key}`);
  }
}

const consecutive = answers.filter(({ shape, strides }) => shape.length === 1 && strides[0] === 1);
const functions = kernels.filter(({ fields }) => fields.kernel === 'functions');
for (const kernel of functions) {
  for (const answer of consecutive) {
    const wrong = await wrongFunction(kernel, answer);
    if (wrong) console.log(`${kernel.file}: ${wrong}`);
  }
}
const [first] = functions;
const other = { ...first, code: first.code.replace('0xCD9E8D57', '0xCD9E8D53') };
if (!(await wrongFunction(other, half))) throw new Error('a changed constant passes');

// FNV-1a over the masks that the library's audit hashes, so that one number says the same of both.
async function maskHash() {
  const len = 4099;
  const last = 2n ** 64n - BigInt(len);
  const origins = [0n, 3n, 8n, 2n ** 32n - 5n, 2n ** 35n - 5n, 2n ** 61n + 3n, last];
  let hash = 0xcbf29ce484222325n;
  for (const [i, p] of [2 ** -32, 0.1, 0.5, 0.99999].entries()) {
    for (const [step, origin] of origins.entries()) {
      const seed = (BigInt(i + 1) << 32n) | 42n;
      const stream = (BigInt(len) << 32n) | BigInt(step);
      const { threshold, keepScale } = rate(p);
      const params = maskParams({ seed, stream, threshold }, origin, len, VALUES.scale(keepScale));
      const mask = range(Math.ceil(len / 32), () => UNWRITTEN);
      const got = await dispatch(keepMask, keepMask.code, len, { mask, params });
      for (const byte of new Uint8Array(got.buffer)) {
        hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
      }
    }
  }
  return hash.toString(16).padStart(16, '0');
}

const hash = await maskHash();
for (const file of readdirSync(join(root, 'adapters'))) {
  const { adapters } = JSON.parse(readFileSync(join(root, 'adapters', file)));
  if (adapters.some(({ mask_hash }) => mask_hash !== hash)) {
    console.log(`${keepMask.file}: mask hash ${hash}, another than that of ${file}`);
  }
}
const texts = chosen.length + functions.length + 2;
const ofFunctions = functions.length * consecutive.length;
const runs = chosen.reduce((sum, [, cases]) => sum + cases.length, ofFunctions);
console.error(`Dawn: ${texts} texts, ${runs} runs of known answers, mask hash ${hash}`);
console.log(texts);
device.destroy();
