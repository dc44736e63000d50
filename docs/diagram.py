#!/usr/bin/env python3
"""Draws docs/diagram.svg: `python3 docs/diagram.py > docs/diagram.svg`.

The squares are the mask of the call that the picture names, by MASK_CONTRACT.md [M2] to [M8].
"""
SEED, LAYER, STEP, ELEMENTS, SHARD, WORD = 42, 3, 7, 16, 8, 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & WORD, a >> 32 ^ c[3] ^ k[1], a & WORD]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def kept(seed, stream, index):
    """At p = 0.5 the first 16 bits decide [M9]: D = 2^31."""
    counter = [index >> 3, 0, stream & WORD, stream >> 32]
    word = philox(counter, [seed & WORD, seed >> 32])[(index & 7) >> 1]
    return word >> 16 * (index & 1) & 0xFFFF >= 0x8000


# `wgpu-dropout mask --len 64 --p 0.5 --seed 0 --stream 0` begins with these bytes.
assert sum(kept(0, 0, i) << i for i in range(32)) == int.from_bytes(b"\xfd\x63\x01\x23", "little")

out = []


def box(x, y, width, height, fill, stroke):
    out.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" '
               f'stroke="{stroke}" stroke-width="1.5"/>')


def text(x, y, words, style=""):
    out.append(f'<text x="{x}" y="{y}" {style}>{words}</text>')


def arrow(x, y, x2, y2):
    middle = (x + x2) / 2
    out.append(f'<path d="M{x} {y}C{middle} {y} {middle} {y2} {x2 - 8} {y2}" fill="none" '
               f'stroke="#7d8590" stroke-width="2" marker-end="url(#tip)"/>')


def square(x, y, is_kept):
    fill = "#0f766e" if is_kept else "#ffffff"
    out.append(f'<rect x="{x}" y="{y}" width="14" height="14" fill="{fill}" stroke="#475569"/>')


BOLD, MONO, CENTRE = 'font-weight="700"', 'font-family="monospace" font-size="13"', 'text-anchor="middle"'
for row, (name, value) in enumerate([("seed", SEED), ("layer", LAYER), ("step", STEP)]):
    y = 55 + 80 * row
    box(8, y, 104, 44, "#fef3c7", "#b45309")
    text(60, y + 28, f'<tspan {BOLD}>{name}</tspan> {value}', CENTRE)
    arrow(112, y + 22, 178, 157)
box(178, 77, 236, 160, "#dbeafe", "#1d4ed8")
text(296, 106, "the call", f"{BOLD} {CENTRE}")
text(296, 132, f"p=0.5 seed={SEED}", f"{MONO} {CENTRE}")
text(296, 150, f"stream={LAYER << 32 | STEP:#x} origin=0", f"{MONO} {CENTRE}")
text(296, 178, "kept in place of the mask", CENTRE)
for x, is_kept, name in [(205, True, "kept"), (306, False, "dropped")]:
    square(x, 203, is_kept)
    text(x + 22, 215, name)
for row, (name, what, first) in enumerate([
        ("forward", "x to y", 0), ("backward", "grad_y to grad_x", 0),
        ("recompute", "x to y, later", 0), ("shard", f"from element {SHARD}, origin={SHARD}", SHARD)]):
    y = 8 + 76 * row
    box(480, y, 272, 68, "#f1f5f9", "#475569")
    text(494, y + 24, f'<tspan {BOLD}>{name}</tspan> {what}')
    for i in range(first, ELEMENTS):
        square(494 + 15 * i, y + 40, kept(SEED, LAYER << 32 | STEP, i))
    arrow(414, 157, 480, y + 34)
print('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 314" role="img" font-size="15" '
      'font-family="system-ui, sans-serif" fill="#0f172a"><title>Seed, layer and step make a call; '
      'forward, backward, recomputation and a shard make the same mask of it.</title>'
      '<defs><marker id="tip" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="4" markerHeight="4" '
      'orient="auto"><path d="M0 0L8 4L0 8Z" fill="#7d8590"/></marker></defs>')
print("\n".join(out), "</svg>", sep="\n")
