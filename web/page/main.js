// Starts the page: the library, the GPU if there is one, and the three sections.

import init, { Gpu, version } from "./wgpu_dropout_web.js";
import { describe } from "./adapter.js";
import * as benchmark from "./benchmark.js";
import { element } from "./page.js";
import * as playground from "./playground.js";
import * as verify from "./verify.js";

function failed(error) {
  const line = element("adapter");
  line.className = "adapter wrong";
  line.textContent = `Something failed: ${error.message ?? error}`;
}

async function start() {
  await init();
  element("version").textContent = `wgpu-dropout ${version()}.`;
  const adapter = await describe();
  let [gpu, reason] = [null, "There is no WebGPU here"];
  if (adapter.present) {
    try {
      gpu = await Gpu.request();
    } catch (error) {
      reason = `WebGPU failed here (${error.message})`;
    }
  }
  const line = element("adapter");
  line.classList.toggle("software", adapter.software);
  line.classList.toggle("absent", gpu === null);
  if (gpu === null) {
    line.textContent = `${reason}, so dropout runs on the library's CPU path, in WebAssembly. It is slower and gives the same bits.`;
  } else if (adapter.software) {
    line.textContent = `On ${adapter.name} in ${adapter.browser}, a software adapter, which gives the right bits but not a GPU's speed.`;
  } else {
    line.textContent = `On ${adapter.name} in ${adapter.browser}.`;
  }
  verify.start(gpu, adapter, failed);
  benchmark.start(gpu, adapter, failed);
  await playground.start(gpu, failed);
  document.documentElement.dataset.ready = "true";
}

start().catch(failed);
