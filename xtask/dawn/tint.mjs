// Gives every portable kernel of a folder that `wgpu-dropout wgsl --output-dir` wrote to Tint, and has Dawn make its
// pipeline under WebGPU's default limits. Null backend: no driver, nothing runs. The texts in the folder's folder
// `others` are compiled alone.
// Prints a line for each kernel that is refused, and last how many there are.
// Usage: node tint.mjs FOLDER
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

// Dawn ends the process if this is collected before the device.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();
const [folder] = process.argv.slice(2);

// A pipeline of `code` with a kernel's buffers.
function createPipeline({ buffers, entry_point }, code) {
  const bindGroupLayouts = [...new Set(buffers.map(({ group }) => group))].map((wanted) => {
    const entries = buffers
      .filter(({ group }) => group === wanted)
      .map(({ binding, type }) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
    return device.createBindGroupLayout({ entries });
  });
  return device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts }),
    compute: { module: device.createShaderModule({ code }), entryPoint: entry_point },
  });
}

// Dawn's messages against a kernel of this text, warnings too, or ''.
async function complaint(kernel, code) {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  if (kernel.buffers) createPipeline(kernel, code);
  const error = await device.popErrorScope();
  return [
    ...messages.map(({ type, lineNum, message }) => `${type}, line ${lineNum}: ${message}`),
    ...(error ? [error.message] : []),
  ].join(' | ');
}

const read = (...path) => readFileSync(join(folder, ...path), 'utf8');
const portable = JSON.parse(read('kernels.json')).filter(({ features }) => features.length === 0);
const kernels = portable.map((kernel) => ({ ...kernel, code: read(kernel.file) }));
const others = readdirSync(join(folder, 'others'));
kernels.push(...others.map((file) => ({ file, code: read('others', file) })));

// A judge is refused if it finds nothing wrong in these.
const [first] = kernels;
const { buffers, code } = first;
for (const [what, kernel, text] of [
  ['an undeclared name', first, code + 'fn broken() -> u32 { return undeclared; }'],
  ['a shift beside `|`', {}, 'const BROKEN: u32 = 1u >> 1u | 1u;'],
  ['code behind a return', first, code + 'fn broken() -> u32 { return 1u; return 2u; }'],
  ['257 invocations', first, code.replace('256u', '257u')],
  ['a buffer too few', { ...first, buffers: buffers.slice(1) }, code],
]) {
  if (!(await complaint(kernel, text))) throw new Error(`Tint accepts ${what}`);
}

for (const kernel of kernels) {
  const message = await complaint(kernel, kernel.code);
  if (message) console.log(`${kernel.file}: ${message.replaceAll('\n', ' ')}`);
}
console.log(kernels.length);
device.destroy();
