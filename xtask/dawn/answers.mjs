// Dropout on Dawn's Vulkan: the results of the CPU path, to the bit. FILE has the cases of `kernel-tools answers`.
// Prints a line for each case that is wrong, and last how many ran.
// Usage: node answers.mjs FILE
import { readFileSync } from 'node:fs';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

// Dawn ends the process if this is collected before the device.
const gpu = create(['backend=vulkan']);
const adapter = await gpu.requestAdapter();
if (!adapter) throw new Error('Dawn finds no Vulkan adapter');
const device = await adapter.requestDevice();

const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
function bufferOf(words) {
  const usage = STORAGE | COPY_DST | COPY_SRC;
  const buffer = device.createBuffer({ size: 4 * words.length, usage });
  device.queue.writeBuffer(buffer, 0, new Uint32Array(words));
  return buffer;
}

// The first fault in a case's results, or undefined; `change` is made to the kernels' texts.
async function complaint({ launches, input, output: expected }, change = (code) => code) {
  const read = bufferOf(input);
  // Behind an odd number of 16-bit elements the other half of the last word stays as it is.
  const written = bufferOf(input.map((_, i) => (i + 1 < input.length ? 0xdeadbeef : 0)));
  const encoder = device.createCommandEncoder();
  for (const { code, entry_point, offset, size, workgroups, params } of launches) {
    const module = device.createShaderModule({ code: change(code) });
    const compute = { module, entryPoint: entry_point };
    const pipeline = device.createComputePipeline({ layout: 'auto', compute });
    const range = (buffer) => ({ buffer, offset, size });
    const resources = [range(read), range(written), { buffer: bufferOf(params) }];
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const layout = pipeline.getBindGroupLayout(0);
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(workgroups);
    pass.end();
  }
  const staging = device.createBuffer({ size: written.size, usage: MAP_READ | COPY_DST });
  encoder.copyBufferToBuffer(written, 0, staging, 0, written.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const got = new Uint32Array(staging.getMappedRange().slice());
  const wrong = got.findIndex((word, i) => word !== expected[i]);
  return wrong < 0 ? undefined : `word ${wrong} is ${got[wrong]}, not ${expected[wrong]}`;
}

const cases = JSON.parse(readFileSync(process.argv[2]));
// A host that finds nothing wrong with another generator compares nothing.
const linear = cases.find(({ name }) => name.startsWith('linear'));
if (!(await complaint(linear, (code) => code.replace('0xD2511F53', '0xD2511F51')))) {
  throw new Error('a changed constant passes');
}
for (const one of cases) {
  const wrong = await complaint(one);
  if (wrong) console.log(`${one.name}.wgsl: ${wrong}`);
}
console.log(cases.length);
device.destroy();
