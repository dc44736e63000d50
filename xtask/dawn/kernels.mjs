// The list that `wgpu-dropout wgsl --output-dir` writes beside its texts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// The kernels that every implementation of WebGPU takes, with their texts.
export function portableKernels(folder) {
  return JSON.parse(readFileSync(join(folder, 'kernels.json')))
    .filter(({ features }) => features.length === 0)
    .map((kernel) => ({ ...kernel, code: readFileSync(join(folder, kernel.file), 'utf8') }));
}

// A pipeline of `code` with a kernel's buffers, all of which are bound whole.
export function createPipeline(device, { buffers, entry_point }, code) {
  const groups = [...new Set(buffers.map(({ group }) => group))];
  const bindGroupLayouts = groups.map((group) =>
    device.createBindGroupLayout({
      entries: buffers
        .filter((buffer) => buffer.group === group)
        .map(({ binding, type }) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type },
        })),
    }),
  );
  return device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts }),
    compute: { module: device.createShaderModule({ code }), entryPoint: entry_point },
  });
}
