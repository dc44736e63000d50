#!/usr/bin/env python3
"""Measures dropout of 2^24 f32 by one framework on the CPU, on every core.

    for framework in tensorflow jax torch; do python3 benches/cpu_peers.py $framework; done

The smallest time of many is printed, since other programs may run on the machine.
`cargo bench --bench cpu -- '2^24'` measures this library.
"""

import sys
import time

import numpy as np

P = 0.1
ELEMENTS = 1 << 24
ROUNDS = 20


def tensorflow_calls(x):
    import tensorflow as tf

    x = tf.constant(x)
    compiled = tf.function(lambda x: tf.nn.dropout(x, P), jit_compile=True)
    yield f"TensorFlow {tf.__version__}", lambda: tf.nn.dropout(x, P).numpy()
    yield f"TensorFlow {tf.__version__}, XLA", lambda: compiled(x).numpy()


def jax_calls(x):
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(x)
    for generator in ["threefry2x32", "rbg"]:
        key = jax.random.key(42, impl=generator)

        @jax.jit
        def dropout(x, key):
            keep = jax.random.bernoulli(key, 1 - P, x.shape)
            return jnp.where(keep, x / (1 - P), jnp.zeros_like(x))

        yield f"JAX {jax.__version__}, {generator}", (
            lambda dropout=dropout, key=key: dropout(x, key).block_until_ready()
        )


def torch_calls(x):
    import torch

    x = torch.from_numpy(x)
    compiled = torch.compile(lambda x: torch.nn.functional.dropout(x, P), dynamic=False)
    yield f"PyTorch {torch.__version__}", lambda: torch.nn.functional.dropout(x, P)
    yield f"PyTorch {torch.__version__}, compiled", lambda: compiled(x)


def check(x, y):
    """Raises an error if `y` is not dropout of `x`, no element of which is 0."""
    kept = y != 0
    if not np.allclose(y[kept], x[kept] / np.float32(1 - P), rtol=1e-5):
        raise ValueError("kept values are not scaled by 1 / (1 - p)")
    if abs(kept.mean() - (1 - P)) > 6 * (P * (1 - P) / ELEMENTS) ** 0.5:
        raise ValueError(f"{kept.mean():.5f} of the values are kept, not {1 - P}")


def main():
    x = np.random.default_rng(42).uniform(0.5, 1.5, ELEMENTS).astype(np.float32)
    y = np.empty_like(x)
    operations = [("a copy by NumPy", lambda: np.copyto(y, x))]
    operations += {"tensorflow": tensorflow_calls, "jax": jax_calls, "torch": torch_calls}[
        sys.argv[1]
    ](x)
    for _, operation in operations[1:]:
        check(x, np.asarray(operation()))
    for wrong in [x, x / np.float32(1 - P)]:
        try:
            check(x, wrong)
        except ValueError:
            continue
        raise SystemExit("the check let a wrong result pass")
    best = [float("inf")] * len(operations)
    for _ in range(ROUNDS):
        for number, (_, operation) in enumerate(operations):
            start = time.perf_counter()
            operation()
            best[number] = min(best[number], time.perf_counter() - start)
    for (name, _), seconds in zip(operations, best):
        print(f"{name:<36} {seconds * 1e3:8.2f} ms")


if __name__ == "__main__":
    main()
