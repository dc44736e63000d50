// Kernels on Dawn's Vulkan.
import { create, globals } from 'webgpu';
import { createPipeline } from './kernels.mjs';

Object.assign(globalThis, globals);

// Dawn ends the process if this is collected before the device.
export const gpu = create(['backend=vulkan']);
const adapter = await gpu.requestAdapter();
if (!adapter) throw new Error('Dawn finds no Vulkan adapter');
export const device = await adapter.requestDevice();

const pipelines = new Map();

// Dispatches `code`, of a kernel with these properties, over `len` elements and gives back the words
// of the buffer that it writes. `contents` has the words of each buffer by its name.
export async function dispatch(kernel, code, len, contents) {
  const { buffers, elements_per_workgroup } = kernel;
  if (!pipelines.has(code)) pipelines.set(code, createPipeline(device, kernel, code));
  const pipeline = pipelines.get(code);
  const bound = buffers.map(({ name, group, binding, type }) => {
    const words = new Uint32Array(contents[name]);
    const usage = type === 'uniform' ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
    const buffer = device.createBuffer({
      size: words.byteLength,
      usage: usage | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    device.queue.writeBuffer(buffer, 0, words);
    return { group, binding, type, buffer };
  });
  const written = bound.findLast(({ type }) => type === 'storage').buffer;
  const staging = device.createBuffer({
    size: written.size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  for (const group of new Set(bound.map(({ group }) => group))) {
    const entries = bound
      .filter((bound) => bound.group === group)
      .map(({ binding, buffer }) => ({ binding, resource: { buffer } }));
    const layout = pipeline.getBindGroupLayout(group);
    pass.setBindGroup(group, device.createBindGroup({ layout, entries }));
  }
  pass.dispatchWorkgroups(Math.ceil(len / elements_per_workgroup));
  pass.end();
  encoder.copyBufferToBuffer(written, 0, staging, 0, written.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const words = new Uint32Array(staging.getMappedRange().slice());
  for (const { buffer } of bound) buffer.destroy();
  staging.destroy();
  return words;
}
