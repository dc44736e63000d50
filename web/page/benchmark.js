// Compares dropout with a copy of the same bytes, at several sizes.

import { Call } from "./wgpu_dropout_web.js";
import { element, integer, unavailable } from "./page.js";
import { plot } from "./plot.js";

/** Sizes in elements of 4 bytes. The last one takes a software adapter seconds. */
const SIZES = [12, 14, 16, 18, 20, 22, 24].map((exponent) => 2 ** exponent);
/** The shortest run. A shorter one would measure the browser more than the GPU. */
const RUN_MILLISECONDS = 20;
const MAX_REPETITIONS = 256;
const PAIRS = 7;
/** The longest time for one size. At least three pairs are measured in any case. */
const SIZE_MILLISECONDS = 2500;

export function start(gpu, adapter, failed) {
  if (gpu === null) return unavailable("benchmark");
  element("benchmark-run").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    const progress = element("benchmark-progress");
    const sizes = adapter.software ? SIZES.slice(0, -1) : SIZES;
    [progress.hidden, progress.max, progress.value] = [false, sizes.length, 0];
    const points = [];
    const draw = () => show(points, sizes, adapter);
    draw();
    element("measurements").hidden = false;
    try {
      for (const elements of sizes) {
        element("benchmark-status").textContent = `Measuring ${integer.format(elements)} elements…`;
        points.push(await measure(gpu, elements));
        progress.value = points.length;
        draw();
      }
      element("benchmark-status").textContent = adapter.software
        ? `Done, on ${adapter.name}, a software adapter: it says nothing about a GPU's speed.`
        : `Done, on ${adapter.name}.`;
    } catch (error) {
      failed(error);
    } finally {
      target.disabled = false;
      progress.hidden = true;
    }
  });
}

async function measure(gpu, elements) {
  const benchmark = await gpu.benchmark(elements);
  const dropout = new Call(0.1, 42n, 7n);
  const copy = new Call(0, 42n, 7n);
  try {
    // The first runs compile the kernels.
    await benchmark.time(dropout, 1);
    await benchmark.time(copy, 1);
    let repetitions = 1;
    while (repetitions < MAX_REPETITIONS && await benchmark.time(copy, repetitions) < RUN_MILLISECONDS) {
      repetitions *= 2;
    }
    const pairs = [];
    const begin = performance.now();
    while (pairs.length < PAIRS && (pairs.length < 3 || performance.now() - begin < SIZE_MILLISECONDS)) {
      const [d, c] = [await benchmark.time(dropout, repetitions), await benchmark.time(copy, repetitions)];
      pairs.push({ dropout: d / repetitions, copy: c / repetitions, ratio: d / c });
    }
    const median = (name) => pairs.map((pair) => pair[name]).sort((a, b) => a - b)[pairs.length >> 1];
    return { elements, ratio: median("ratio"), dropout: median("dropout"), copy: median("copy") };
  } finally {
    benchmark.free();
  }
}

function show(points, sizes, adapter) {
  element("plot").replaceChildren(plot(points, sizes, adapter));
  element("times").replaceChildren(...points.map(({ elements, ratio, dropout, copy }) => {
    const row = document.createElement("tr");
    const gigabytes = 8 * elements / dropout / 1e6;
    const cells = [integer.format(elements), ratio.toFixed(2), (1000 * dropout).toFixed(1), (1000 * copy).toFixed(1), gigabytes.toFixed(1)];
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  }));
}
