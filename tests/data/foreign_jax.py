"""Prints the rows of foreign.kat that JAX makes: `pip install jax==0.10.2`, then `python foreign_jax.py`."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32

KEYS = [(0, 0), (0, 42), (0x12345678, 0x9ABCDEF0), (0xFFFFFFFF, 0xFFFFFFFF)]
RATES = [0.0, 0.001, 0.1, 1 / 3, 0.5, 0.9, 1.0]
SHAPES = [(1,), (5,), (31,), (32,), (33,), (64,), (7, 11), (3, 5, 17), (257,)]


def row(key, rate, first, mask):
    mask = np.asarray(mask).ravel()
    packed = np.packbits(mask, bitorder="little").tobytes().hex()
    print(f"jax | {key[0]},{key[1]} | {rate!r} | {first} | {mask.size} | {packed}")


def bernoulli(key, rate, shape):
    key = jax.random.wrap_key_data(jnp.array(key, jnp.uint32), impl="threefry2x32")
    return jax.random.bernoulli(key, 1 - rate, shape)


for i, key in enumerate(KEYS):
    for j, rate in enumerate(RATES):
        row(key, rate, 0, bernoulli(key, rate, SHAPES[(i + 4 * j) % len(SHAPES)]))
row((7, 8), 0.25, 0, bernoulli((7, 8), 0.25, (65, 63)))
# Elements beyond 2^32. A whole tensor would be too large, so these rows call JAX's block function
# with the counters of such elements, and repeat bernoulli's comparison.
for first in [2**32 - 40, 2**40 + 3, 2**63 - 50]:
    index = np.arange(first, first + 99, dtype=np.uint64)
    counts = np.concatenate([index >> np.uint64(32), index & np.uint64(0xFFFFFFFF)])
    words = np.asarray(threefry_2x32(jnp.array((1, 2), jnp.uint32), counts.astype(np.uint32)))
    bits = words[:99] ^ words[99:]
    uniform = (bits >> 9 | 0x3F800000).astype(np.uint32).view(np.float32) - np.float32(1)
    row((1, 2), 0.3, first, uniform < np.float32(1 - 0.3))
