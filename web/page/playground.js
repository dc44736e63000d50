// Runs a training step on a picture, again whenever a control moves.

import { Call, Kind, cpuStep, layoutArguments } from "./wgpu_dropout_web.js";
import { copy, element, integer } from "./page.js";
import { SIDE, blank, landscape, letDraw, numbers, open, show } from "./picture.js";

const LINES = {
  Elementwise: "Elementwise dropout, nn.Dropout: each of a pixel's three values has a decision of its own.",
  Feature: "Feature dropout, nn.Dropout2d: the 64 tiles are a batch; red, green and blue are their feature maps. Whole maps are dropped.",
  TimeLocked: "Time-locked or variational dropout: the rows are time steps, and the values of a row are its features. One mask serves all steps.",
  Path: "Drop path or stochastic depth: the 64 tiles are a batch of samples. Whole samples are dropped.",
};

const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** Starts the section. If `gpu` is null, the CPU path computes. Errors go to `failed`. */
export function start(gpu, failed) {
  const contexts = Object.fromEntries(["input", "mask", "output", "gradient"].map((id) =>
    [id, element(id).getContext("2d", { willReadFrequently: id === "input" })]));
  const controls = element("controls").elements;
  /** A layer for each kind, made at its first use. */
  const layers = new Map();
  let [wanted, running, playing] = [false, false, false];

  /** The controls' values, or null while a field holds no number. */
  function setting() {
    const [seed, stream] = [controls.seed, controls.stream].map(number);
    if (seed === null || stream === null) return null;
    return { kind: controls.kind.value, p: Number(controls.p.value), seed, stream };
  }

  async function stepOf(image, { kind }, call) {
    if (gpu === null) return cpuStep(image, SIDE, SIDE, Kind[kind], call);
    if (!layers.has(kind)) layers.set(kind, await gpu.layer(SIDE, SIDE, Kind[kind]));
    return layers.get(kind).step(image, call);
  }

  /** Runs steps until nothing has changed since the last one began. Two never run at once. */
  async function update() {
    wanted = true;
    if (running) return;
    running = true;
    element("panels").ariaBusy = "true";
    try {
      while (wanted) {
        wanted = false;
        const now = setting();
        if (now === null) break;
        const image = numbers(contexts.input);
        const call = new Call(now.p, now.seed, now.stream);
        const step = await stepOf(image, now, call);
        picture(image, now, call, step);
        if (playing) {
          await new Promise(requestAnimationFrame);
          controls.stream.value = BigInt.asUintN(64, now.stream + 1n);
          wanted = true;
        }
        if (gpu !== null && !wanted) compare(image, now, call, step);
        // The step holds a megabyte of wasm's memory, which JavaScript's collector does not see.
        step.free();
      }
    } catch (error) {
      play(false);
      failed(error);
    } finally {
      running = false;
      element("panels").ariaBusy = "false";
    }
  }

  function picture(image, { kind, p, seed, stream }, call, step) {
    const { mask, output, gradient } = step;
    const kept = (i) => mask[i >>> 5] >>> (i & 31) & 1;
    const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    show(contexts.mask, kept);
    show(contexts.output, (i) => output[i]);
    show(contexts.gradient, (i) => 0.5 + gradient[i] / largest / 2);
    let count = 0;
    for (let i = 0; i < image.length; i++) count += kept(i);
    element("kind-line").textContent = LINES[kind];
    element("p-value").value = p.toFixed(2);
    element("input-note").textContent = `mean ${mean(image)}; draw on it`;
    element("mask-note").textContent = `${percent.format(count / image.length)} kept`;
    element("output-note").textContent = `mean ${mean(output)}` + (p < 1 ? `, kept × ${call.keepScale.toFixed(2)}` : "");
    element("command").textContent =
      `wgpu-dropout mask ${layoutArguments(SIDE, SIDE, Kind[kind])} --p ${p} --seed ${seed} --stream ${stream} --output mask.bin`;
  }

  function compare(image, { kind }, call, step) {
    const cpu = cpuStep(image, SIDE, SIDE, Kind[kind], call);
    const words = step.mask.length + step.output.length + step.gradient.length;
    const differences = step.differences(cpu);
    cpu.free();
    const status = element("agreement");
    status.classList.toggle("wrong", differences > 0);
    status.textContent = differences === 0
      ? `GPU and CPU agree: mask, output and gradient are the same ${integer.format(words)} words, bit for bit.`
      : `GPU and CPU differ in ${integer.format(differences)} of ${integer.format(words)} words: verify this GPU below.`;
  }

  function play(on) {
    playing = on;
    element("play").textContent = on ? "Pause" : "Play";
  }

  function changePicture(change) {
    return async (...values) => {
      element("panels").ariaBusy = "true";
      await Promise.resolve(change(contexts.input, ...values)).catch(failed);
      await update();
    };
  }

  element("controls").addEventListener("input", update);
  element("controls").addEventListener("submit", (event) => event.preventDefault());
  element("new-seed").addEventListener("click", () => {
    controls.seed.value = crypto.getRandomValues(new Uint32Array(1))[0];
    update();
  });
  element("play").addEventListener("click", () => {
    play(!playing);
    update();
  });
  element("builtin").addEventListener("click", changePicture(landscape));
  element("blank").addEventListener("click", changePicture(blank));
  element("open").addEventListener("click", () => element("file").click());
  element("file").addEventListener("change", ({ target }) => {
    if (target.files.length > 0) changePicture(open)(target.files[0]);
  });
  letDraw(element("input"), contexts.input, () => element("brush").value, update);
  element("copy-command").addEventListener("click", ({ target }) =>
    copy(target, element("command").textContent).catch(failed));

  landscape(contexts.input);
  return update();
}

/** A field's number, or null if it holds none; the field is marked then. */
function number(field) {
  const isNumber = /^[0-9]+$/.test(field.value) && BigInt(field.value) < 1n << 64n;
  field.setCustomValidity(isNumber ? "" : "an integer from 0 to 18446744073709551615");
  return isNumber ? BigInt(field.value) : null;
}

function mean(values) {
  return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3);
}
