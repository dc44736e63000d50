"""Makes the mask of a dropout call in your own kernel, with Python's wgpu.

Exits with 1 if a bit differs from the output of `wgpu-dropout mask`. That program must be on the PATH.

    python3 -m venv .venv
    .venv/bin/pip install --require-hashes -r requirements.txt
    .venv/bin/python mask.py
"""

import subprocess
import sys

import wgpu

ELEMENTS = 1 << 20
CALL = f"--p 0.1 --seed 42 --stream 7 --origin 5 --len {ELEMENTS}"
OTHER_STREAM = CALL.replace("--stream 7", "--stream 8")

KERNEL = """
@group(0) @binding(0) var<uniform> mask: DropoutMask;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn write_mask(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&words) {
        words[id.x] = dropout_keep_32(mask, 32u * id.x);
    }
}
"""


def wgpu_dropout(options: str) -> bytes:
    return subprocess.run(["wgpu-dropout", *options.split()], check=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    adapter = wgpu.gpu.request_adapter_sync()
    device = adapter.request_device_sync()
    functions = wgpu_dropout("wgsl --functions").decode()
    module = device.create_shader_module(code=functions + KERNEL)
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})

    def mask_of(call: str) -> bytes:
        params = device.create_buffer_with_data(
            data=wgpu_dropout(f"params {call} --output -"), usage=wgpu.BufferUsage.UNIFORM
        )
        words = device.create_buffer(
            size=ELEMENTS // 8, usage=wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
        )
        entries = [
            {"binding": binding, "resource": {"buffer": buffer}}
            for binding, buffer in enumerate([params, words])
        ]
        group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
        encoder = device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups(ELEMENTS // 32 // 64)
        compute_pass.end()
        device.queue.submit([encoder.finish()])
        return bytes(device.queue.read_buffer(words))

    expected = wgpu_dropout(f"mask {CALL} --engine cpu --output -")
    if mask_of(CALL) != expected:
        sys.exit(f"on {adapter.summary} the mask differs: {CALL}")
    # Negative control: the comparison must notice another mask.
    if mask_of(OTHER_STREAM) == expected:
        sys.exit("the mask of another stream is the same")
    print(f"{ELEMENTS} bits are equal on {adapter.summary}")


main()
