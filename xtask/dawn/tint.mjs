// Gives every portable kernel of a folder that `wgpu-dropout wgsl --output-dir` wrote to Tint, and has
// Dawn make its pipeline under WebGPU's default limits. Null backend: no driver, nothing runs.
// Prints a line for each kernel that is refused, and last how many there are.
// Usage: node tint.mjs FOLDER
import { create, globals } from 'webgpu';
import { createPipeline, portableKernels } from './kernels.mjs';

Object.assign(globalThis, globals);

// Dawn ends the process if this is collected before the device.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();

// What Dawn says against a kernel of this text, warnings too, or ''.
async function complaint(kernel, code) {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  createPipeline(device, kernel, code);
  const error = await device.popErrorScope();
  return [
    ...messages.map(({ type, lineNum, message }) => `${type}, line ${lineNum}: ${message}`),
    ...(error ? [error.message] : []),
  ].join('\n');
}

const kernels = portableKernels(process.argv[2]);

// A judge that finds nothing wrong in these is none.
const [first] = kernels;
const { buffers, code } = first;
for (const [what, kernel, text] of [
  ['an undeclared name', first, code + 'fn broken() -> u32 { return undeclared; }'],
  ['code behind a return', first, code + 'fn broken() -> u32 { return 1u; return 2u; }'],
  ['257 invocations', first, code.replace('256u', '257u')],
  ['a buffer too few', { ...first, buffers: buffers.slice(1) }, code],
]) {
  if (!(await complaint(kernel, text))) throw new Error(`Tint accepts ${what}`);
}

for (const kernel of kernels) {
  const message = await complaint(kernel, kernel.code);
  if (message) console.log(`${kernel.file}: ${message.replaceAll('\n', ' | ')}`);
}
console.log(kernels.length);
device.destroy();
