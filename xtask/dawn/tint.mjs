// Gives every portable kernel of a folder that `wgpu-dropout wgsl --output-dir` wrote to Tint, and has
// Dawn make its pipeline under WebGPU's default limits. Null backend: no driver, nothing runs. The texts
// in the folder's folder `others` are compiled alone.
// Prints a line for each kernel that is refused, and last how many there are.
// Usage: node tint.mjs FOLDER
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';
import { createPipeline, portableKernels } from './kernels.mjs';

Object.assign(globalThis, globals);

// Dawn ends the process if this is collected before the device.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();

// Dawn's messages against a kernel of this text, warnings too, or ''.
async function complaint(kernel, code) {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  if (kernel.buffers) createPipeline(device, kernel, code);
  const error = await device.popErrorScope();
  return [
    ...messages.map(({ type, lineNum, message }) => `${type}, line ${lineNum}: ${message}`),
    ...(error ? [error.message] : []),
  ].join('\n');
}

const kernels = portableKernels(process.argv[2]);
const folder = join(process.argv[2], 'others');
const others = readdirSync(folder).map((file) => ({
  file,
  code: readFileSync(join(folder, file), 'utf8'),
}));

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

for (const kernel of [...kernels, ...others]) {
  const message = await complaint(kernel, kernel.code);
  if (message) console.log(`${kernel.file}: ${message.replaceAll('\n', ' | ')}`);
}
console.log(kernels.length + others.length);
device.destroy();
