// Makes the mask of a dropout call in your own kernel, from JavaScript, here with Dawn for Node.
// Exits with 1 if a bit differs from the output of `wgpu-dropout mask`. That program must be on the PATH.
//
//     npm ci --ignore-scripts
//     node mask.mjs
import { execFileSync } from 'node:child_process';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

const ELEMENTS = 1 << 20;
const CALL = `--p 0.1 --seed 42 --stream 7 --origin 5 --len ${ELEMENTS}`;
const OTHER_STREAM = CALL.replace('--stream 7', '--stream 8');

const KERNEL = `
@group(0) @binding(0) var<uniform> mask: DropoutMask;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn write_mask(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&words) {
        words[id.x] = dropout_keep_32(mask, 32u * id.x);
    }
}`;

const wgpuDropout = (options) => execFileSync('wgpu-dropout', options.split(' '));

// In a browser, use navigator.gpu instead.
const gpu = create([]);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();
const functions = wgpuDropout('wgsl --functions').toString();
const module = device.createShaderModule({ code: functions + KERNEL });
const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });

async function maskOf(call) {
  const bytes = wgpuDropout(`params ${call} --output -`);
  const { UNIFORM, STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  const params = device.createBuffer({ size: bytes.length, usage: UNIFORM | COPY_DST });
  device.queue.writeBuffer(params, 0, bytes);
  const size = ELEMENTS / 8;
  const words = device.createBuffer({ size, usage: STORAGE | COPY_SRC });
  const staging = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [params, words].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(ELEMENTS / 32 / 64);
  pass.end();
  encoder.copyBufferToBuffer(words, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  return Buffer.from(staging.getMappedRange().slice());
}

const expected = wgpuDropout(`mask ${CALL} --engine cpu --output -`);
const { description } = adapter.info;
if (!(await maskOf(CALL)).equals(expected)) {
  throw new Error(`on ${description} the mask differs: ${CALL}`);
}
// Negative control: the comparison must notice another mask.
if ((await maskOf(OTHER_STREAM)).equals(expected)) {
  throw new Error('the mask of another stream is the same');
}
console.log(`${ELEMENTS} bits are equal on ${description}`);
device.destroy();
