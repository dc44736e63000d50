#!/usr/bin/env python3
"""Measures dropout by PyTorch, Triton and JAX, and a copy, on an NVIDIA GPU. `wgpu-dropout bench` cannot measure those.

    python3 benches/peers.py --json benches/records/DATE-cuda-GPU.json
    TRITON_INTERPRET=1 python3 benches/peers.py --check    # without a GPU: checks the results only

Run it right before or after `wgpu-dropout bench --sizes …` with the same sizes, and compare the ratios to the copy:
each program copies the same bytes. Quote the largest size only. Here each call comes from Python. That costs more
than the work on a small tensor, and for forward and backward on a fast GPU more than on a medium one. `bench` puts
all calls into one submission. Results are checked before anything is timed. Needs torch and triton;
JAX is measured if it is installed.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time

# JAX would take most of the GPU's memory at its first use, which PyTorch needs.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch
import torch.nn.functional as F
import triton
import triton.language as tl

P = 0.1
SIZES = [4096, 65_536, 1_048_576, 16_777_216, 67_108_864]
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
# Operations take turns. Each time is that of enough calls to take a millisecond or more.
ROUNDS = 20
# Tensors rotate over more bytes than a GPU's caches hold, in at most PAIRS pairs, as in
# cli/src/bench/buffers.rs.
ROTATED_BYTES = 512 << 20
PAIRS = 1024


@triton.jit
def seeded_dropout_kernel(x, y, elements, p, seed, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < elements
    value = tl.load(x + offsets, mask=inside).to(tl.float32)
    keep = tl.rand(seed, offsets) > p
    tl.store(y + offsets, tl.where(keep, value / (1 - p), 0.0), mask=inside)


def seeded_dropout(x, y):
    """The kernel of Triton's tutorial on low-memory dropout. Its backward is the same kernel."""
    seeded_dropout_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), P, 42, BLOCK=1024)


@torch.compile(dynamic=False)
def compiled_dropout(x):
    return F.dropout(x, P)


def jax_dropout(dtype, elements):
    """JAX's bernoulli and select, compiled, in one call; None if JAX is missing or has no GPU."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return None
    key = jax.random.key(42)

    @jax.jit
    def dropout(x, key):
        keep = jax.random.bernoulli(key, 1 - P, x.shape)
        return jnp.where(keep, x / (1 - P), jnp.zeros_like(x))

    x = jnp.full(elements, 1.5, {"f32": jnp.float32, "f16": jnp.float16, "bf16": jnp.bfloat16}[dtype])
    return dropout, x, key


def measure_jax(dtype, elements):
    """Seconds a call. JAX allocates its outputs itself, so that it reads one tensor again and again."""
    made = jax_dropout(dtype, elements)
    if made is None or made[1].devices().pop().platform != "gpu":
        return []
    dropout, x, key = made
    dropout(x, key).block_until_ready()
    calls = 20
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            output = dropout(x, key)
        output.block_until_ready()
        times.append((time.perf_counter() - start) / calls)
    return times


def forward_and_backward(x, y):
    output = F.dropout(x, P)
    output.backward(y)
    return output


# `x` needs a gradient, `y` does not.
OPERATIONS = {
    "copy": lambda x, y: y.copy_(x.detach()),
    "torch forward": lambda x, y: F.dropout(x.detach(), P),
    "torch compiled forward": lambda x, y: compiled_dropout(x.detach()),
    "torch forward and backward": forward_and_backward,
    "triton seeded forward": lambda x, y: seeded_dropout(x.detach(), y),
}


def check(x, y):
    """Raises an error if `y` is not dropout of `x`. No value of `x` may be 0."""
    kept = y != 0
    scaled = x.float() / (1 - P)
    if not torch.allclose(y.float()[kept], scaled[kept], rtol=0.01):
        raise ValueError("kept values are not scaled by 1 / (1 - p)")
    share = kept.float().mean().item()
    sigma = (P * (1 - P) / x.numel()) ** 0.5
    if abs(share - (1 - P)) > 6 * sigma:
        raise ValueError(f"{share:.4f} of the values are kept, not {1 - P}")


def check_all(device):
    for name, dtype in DTYPES.items():
        x = torch.rand(65_536, device=device).add(0.5).to(dtype)
        y = torch.empty_like(x)
        seeded_dropout(x, y)
        check(x, y)
        check(x, F.dropout(x, P))
        check(x, compiled_dropout(x))
        if (made := jax_dropout(name, 65_536)) is not None:
            dropout, constant, key = made
            values = torch.tensor([float(value) for value in dropout(constant, key)])
            check(torch.full((65_536,), 1.5), values)
        ones = torch.ones_like(x)
        leaf = ones.clone().requires_grad_()
        forward_and_backward(leaf, ones)
        check(ones, leaf.grad)
        for wrong in [x, x / (1 - P), F.dropout(x, 2 * P)]:
            try:
                check(x, wrong)
            except ValueError:
                continue
            sys.exit(f"{name}: the check let a wrong result pass")


def seconds_a_call(operation, pairs, calls):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    # The list keeps the outputs. Otherwise PyTorch would write each output over the last one, which
    # is in a cache. The list does not keep masks, so PyTorch writes each mask over the last one.
    outputs = [None] * len(pairs)
    start.record()
    for call in range(calls):
        x, y = pairs[call % len(pairs)]
        # Otherwise backward would add to the gradient of the last call.
        x.grad = None
        outputs[call % len(pairs)] = operation(x, y)
    end.record()
    end.synchronize()
    # Free the gradients here, so that this is not part of the next operation's time.
    for x, _ in pairs:
        x.grad = None
    return start.elapsed_time(end) / 1e3 / calls


def measure(dtype, elements):
    pair_bytes = 2 * elements * dtype.itemsize
    pairs = []
    for _ in range(min(1 + ROTATED_BYTES // pair_bytes, PAIRS)):
        x = torch.rand(elements, device="cuda").to(dtype).requires_grad_()
        pairs.append((x, torch.rand(elements, device="cuda").to(dtype)))
    calls = {}
    for name, operation in OPERATIONS.items():
        seconds_a_call(operation, pairs, 2 * len(pairs))
        calls[name] = max(len(pairs), int(1e-3 / seconds_a_call(operation, pairs, len(pairs))))
    times = {name: [] for name in OPERATIONS}
    for _ in range(ROUNDS):
        for name, operation in OPERATIONS.items():
            times[name].append(seconds_a_call(operation, pairs, calls[name]))
    return times


def driver():
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, check=True, text=True).stdout.split()[0]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="check on the CPU, measure nothing")
    arguments.add_argument("--json", metavar="FILE", help="write the record of the run")
    arguments = arguments.parse_args()
    check_all("cpu" if arguments.check else "cuda")
    if arguments.check:
        return
    record = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "adapter": torch.cuda.get_device_name(),
        "driver": driver(),
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "triton": triton.__version__,
        "p": P,
        "measurements": [],
    }
    print(f"{record['adapter']}, torch {torch.__version__}, triton {triton.__version__}, p = {P}")
    print(f"{'operation':<27} {'type':<5} {'elements':>9} {'median us':>10} {'GB/s':>8} {'x copy':>7}")
    for name, dtype in DTYPES.items():
        for elements in SIZES:
            times = measure(dtype, elements)
            if jax_times := measure_jax(name, elements):
                times["jax forward"] = jax_times
            copy = statistics.median(times["copy"])
            for operation, seconds in times.items():
                median = statistics.median(seconds)
                # Counts one read and one write of each element, for each direction. More bytes
                # than that are the operation's own.
                moved = 2 * elements * dtype.itemsize * (2 if "backward" in operation else 1)
                print(
                    f"{operation:<27} {name:<5} {elements:>9} {median * 1e6:>10.2f}"
                    f" {moved / median / 1e9:>8.1f} {median / copy:>7.2f}"
                )
                record["measurements"].append(
                    {"operation": operation, "dtype": name, "elements": elements, "seconds": seconds}
                )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)


if __name__ == "__main__":
    main()
