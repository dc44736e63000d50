// Runs the command line with the same calls, on this machine's own adapter.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = process.env.NATIVE;

const words = (bytes) => new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const run = (args) => execFileSync(program, args, { maxBuffer: 1 << 28, stdio: "pipe" });

/** The rows for docs/adapters.md of the page's file. */
export function markdownRows(file) {
  return run(["verify", "--from", file, "--markdown", "-"]).toString();
}

/** The packed mask of `wgpu-dropout mask` with these arguments. */
export function mask(args) {
  return words(run(["mask", ...args, "--output", "-"]));
}

/** The bits of `wgpu-dropout apply`'s result for numbers in this shape. */
export function apply(numbers, shape, args) {
  const folder = mkdtempSync(join(tmpdir(), "wgpu-dropout-"));
  try {
    const input = join(folder, "x.npy");
    const header = npyHeader(shape);
    writeFileSync(input, Buffer.concat([header, Buffer.from(numbers.buffer)]));
    const output = join(folder, "y.npy");
    run(["apply", "--input", input, "--output", output, ...args]);
    return words(readFileSync(output).subarray(header.length));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A header of NumPy's format 1.0: padded to 64 bytes, with a line break at the end. */
function npyHeader(shape) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padding = 63 - (10 + text.length) % 64;
  const header = Buffer.alloc(10 + text.length + padding + 1, " ");
  header.set([0x93, ...Buffer.from("NUMPY"), 1, 0]);
  header.writeUInt16LE(header.length - 10, 8);
  header.write(text, 10);
  header.write("\n", header.length - 1);
  return header;
}

/** Throws an error that names the first word that differs. */
export function equal(got, expected) {
  if (got.length !== expected.length) {
    throw new Error(`${got.length} words instead of ${expected.length}`);
  }
  const at = expected.findIndex((word, i) => word !== got[i]);
  if (at !== -1) {
    const hex = (word) => `0x${word.toString(16).padStart(8, "0")}`;
    throw new Error(`word ${at} is ${hex(got[at])} instead of ${hex(expected[at])}`);
  }
}
