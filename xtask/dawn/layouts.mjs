// Layouts of one tensor, and the kernels that are right for them: `wgpu_dropout::wgsl` says which.
import { TYPES } from './elements.mjs';

// A layout itself, with neighbours merged, and with rows cut in shorter ones: other dimensions, the
// same indices.
export function equivalents(layout) {
  const merged = folded(layout);
  return [layout, merged, ...[32, 40].flatMap((width) => cut(merged, width))];
}

function folded({ shape, strides }) {
  const dimensions = [];
  shape.forEach((size, d) => {
    const outer = dimensions.at(-1);
    if (outer && outer.stride === strides[d] * size) {
      dimensions[dimensions.length - 1] = { size: outer.size * size, stride: strides[d] };
    } else {
      dimensions.push({ size, stride: strides[d] });
    }
  });
  return { shape: dimensions.map((d) => d.size), strides: dimensions.map((d) => d.stride) };
}

function cut({ shape, strides }, width) {
  const size = shape.at(-1);
  if (size <= width || size % width !== 0) return [];
  const stride = strides.at(-1);
  return [
    {
      shape: [...shape.slice(0, -1), size / width, width],
      strides: [...strides.slice(0, -1), stride * width, stride],
    },
  ];
}

// Returns true if a kernel with these fields is right for a layout whose first index is `first`.
export function fits(fields, { shape, strides }, first) {
  const len = shape.reduce((product, size) => product * size);
  const inner = { size: shape.at(-1), stride: strides.at(-1) };
  const isWhole = (number) => BigInt(number) % 8n === 0n;
  const blocks = fields.access === 'blocks';
  if (fields.access === 'vectors' && (len * TYPES[fields.dtype].size) % 16 !== 0) return false;
  if (blocks && !(isWhole(len) && isWhole(first))) return false;
  if (fields.mask === 'packed' || fields.kernel === 'copy') return true;
  if (fields.mask === 'linear') return shape.length === 1 && inner.stride === 1;
  if (Number(fields.dimensions) < shape.length) return false;
  // The samples' dimension has no neighbours.
  const isSamples = fields['sample-ids'] === 'yes' && shape.length === 1;
  if (isSamples && fields.mask !== 'scattered') return false;
  if (fields['whole-words'] === 'yes' && inner.size % 32 !== 0) return false;
  switch (fields.mask) {
    case 'rows':
      if (blocks) {
        const outer = strides.slice(0, -1);
        return inner.stride === 1 && isWhole(inner.size) && outer.every(isWhole);
      }
      return inner.stride === 1 && inner.size >= 32;
    case 'runs':
      return inner.stride === 0 && inner.size >= 32;
    default:
      return true;
  }
}
