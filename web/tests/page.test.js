// Tests the page in a browser: its bits are the native ones, its controls work, and without WebGPU it says so.
// `cargo xtask web --test` sets the environment variables.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import { launch, open, screenshot } from "./browser.js";
import { apply, equal, markdownRows, mask } from "./native.js";

const MASK_HASH = "a086d68c9cf1f04c";
const KINDS = ["Elementwise", "Feature", "TimeLocked", "Path"];

/** Cases with rates that need a second draw and that do not, rates of 0 and 1, keys of 64 bits, and masks of one word
 * and of many. */
const CASES = [
  { rows: 1, columns: 1, p: 0.5, seed: 0n, stream: 0n, kinds: ["Elementwise", "TimeLocked"] },
  { rows: 5, columns: 7, p: 0.1, seed: 42n, stream: 0x300000007n, kinds: ["Elementwise", "TimeLocked"] },
  { rows: 8, columns: 16, p: 1 / 3, seed: 2n ** 64n - 1n, stream: 2n ** 63n, kinds: KINDS },
  { rows: 64, columns: 40, p: 0.9999, seed: 7n, stream: 1n, kinds: KINDS },
  { rows: 256, columns: 256, p: 0.25, seed: 1n, stream: 2n, kinds: KINDS },
  { rows: 8, columns: 8, p: 0, seed: 1n, stream: 2n, kinds: KINDS },
  { rows: 8, columns: 8, p: 1, seed: 1n, stream: 2n, kinds: KINDS },
].flatMap(({ kinds, ...rest }) => kinds.map((kind) => ({ kind, ...rest })));

/** Runs a step in the page, on its GPU or on its CPU path. Returns the bits as words. */
function step(page, one, onGpu) {
  return page.evaluate(async ({ rows, columns, kind, p, seed, stream, onGpu }) => {
    const web = await import("./wgpu_dropout_web.js");
    const image = Float32Array.from({ length: 3 * rows * columns }, (_, i) => Math.fround(Math.sin(i)));
    const call = new web.Call(p, BigInt(seed), BigInt(stream));
    let made;
    if (onGpu) {
      window.gpu ??= await web.Gpu.request();
      const layer = await window.gpu.layer(rows, columns, web.Kind[kind]);
      made = await layer.step(image, call);
    } else {
      made = web.cpuStep(image, rows, columns, web.Kind[kind], call);
    }
    const bits = (numbers) => Array.from(new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length));
    return {
      image: Array.from(image),
      options: web.layoutArguments(rows, columns, web.Kind[kind]),
      mask: Array.from(made.mask),
      output: bits(made.output),
      gradient: bits(made.gradient),
    };
  }, { ...one, seed: String(one.seed), stream: String(one.stream), onGpu });
}

/** The native results by case, with which both browsers are compared. */
const natives = new Map();

function native(one, made) {
  if (!natives.has(one)) natives.set(one, makeNative(one, made));
  return natives.get(one);
}

function makeNative(one, { image, options }) {
  const [, shape, , strides] = options.split(" ");
  const call = ["--p", String(one.p), "--seed", String(one.seed), "--stream", String(one.stream)];
  const layout = ["--mask-strides", strides];
  const dimensions = shape.split(",");
  const output = apply(Float32Array.from(image), dimensions, [...call, ...layout]);
  const gradOutput = new Float32Array(output.buffer).map((y) => y - 0.5);
  return {
    mask: mask(["--shape", shape, ...layout, ...call]),
    output,
    gradient: apply(gradOutput, dimensions, [...call, ...layout, "--backward"]),
  };
}

async function sameBits(page, onGpu) {
  for (const one of CASES) {
    const made = await step(page, one, onGpu);
    const expected = native(one, made);
    for (const part of ["mask", "output", "gradient"]) {
      try {
        equal(made[part], expected[part]);
      } catch (error) {
        const { kind, rows, columns, p } = one;
        throw new Error(`${part} of ${kind}, ${rows} x ${columns}, p = ${p}: ${error.message}`);
      }
    }
  }
}

/** The pictures of the panels, once the page has nothing left to do. */
async function panels(page) {
  await page.locator("#panels[aria-busy=false]").waitFor();
  return page.evaluate(() => Object.fromEntries(["input", "mask", "output", "gradient"].map((id) =>
    [id, document.getElementById(id).toDataURL()])));
}

/** The names of the panels that look different. */
function changed(before, after) {
  return Object.keys(before).filter((id) => before[id] !== after[id]).join(" ");
}

async function setRate(page, p) {
  await page.locator("#p").fill(String(p));
}

/** Acts of a person on the page, and the panels that each must change. */
const ACTS = [
  ["the rate", "mask output gradient", (page) => setRate(page, 0.3)],
  ["the seed", "mask output gradient", (page) => page.locator("#seed").fill("43")],
  ["the stream", "mask output gradient", (page) => page.locator("#stream").fill("18446744073709551615")],
  ["a new seed", "mask output gradient", (page) => page.getByText("New seed").click()],
  ["feature dropout", "mask output gradient", (page) => page.getByLabel("Feature").check()],
  ["time-locked dropout", "mask output gradient", (page) => page.getByLabel("Time-locked").check()],
  ["drop path, by the keyboard", "mask output gradient", (page) => page.getByLabel("Time-locked").press("ArrowRight")],
  ["a blank picture", "input output gradient", (page) => page.getByText("Blank").click()],
  ["drawing", "input output gradient", async (page) => {
    const box = await page.locator("#input").boundingBox();
    await page.mouse.move(box.x + 20, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 20, box.y + box.height - 20, { steps: 8 });
    await page.mouse.up();
  }],
  ["drawing by the keyboard", "input output gradient", (page) => page.locator("#input").press("ArrowLeft")],
  ["moving without drawing", "", (page) => page.locator("#input").press("Shift+ArrowUp")],
  ["a file", "input output gradient", (page) => page.locator("#file").setInputFiles("../page/icon.svg")],
  ["the landscape", "input output gradient", (page) => page.getByText("Landscape").click()],
  ["nothing", "", () => {}],
];

async function controlsMove(page) {
  let before = await panels(page);
  for (const [what, expected, act] of ACTS) {
    await act(page);
    const after = await panels(page);
    assert.equal(changed(before, after), expected, what);
    before = after;
  }
}

/** Compares the mask panel with the output of the command below it. */
async function panelIsTheCommand(page) {
  await panels(page);
  const command = await page.locator("#command").textContent();
  const [, , ...args] = command.split(" ");
  const expected = mask(args.slice(0, args.indexOf("--output")));
  const shown = await page.evaluate(() => {
    const canvas = document.getElementById("mask");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colours = data.filter((_, i) => i % 4 < 3);
    const words = new Uint32Array(Math.ceil(colours.length / 32));
    colours.forEach((colour, i) => { words[i >>> 5] |= (colour > 0) << (i & 31); });
    return Array.from(words);
  });
  equal(shown, expected);
}

describe("with WebGPU", () => {
  let browser;
  let page;
  before(async () => {
    browser = await launch({ webgpu: true });
    page = await open(browser);
  });
  after(() => browser.close());

  test("the adapter is named, and said to be software", async () => {
    assert.match(await page.locator("#adapter").textContent(), /swiftshader.*software adapter/);
  });

  test("the GPU's bits are the native ones", () => sameBits(page, true));

  test("a changed bit would be seen", async () => {
    const one = CASES.find(({ rows }) => rows === 64);
    const made = await step(page, one, true);
    const expected = native(one, made);
    made.mask[7] ^= 1 << 5;
    assert.throws(() => equal(made.mask, expected.mask), /word 7 is/);
    assert.throws(() => equal(made.output.slice(1), expected.output), /words instead of/);
  });

  test("the page compares its GPU with its CPU path", async () => {
    await panels(page);
    assert.match(await page.locator("#agreement").textContent(), /the same 399,360 words, bit for bit/);
  });

  test("each control moves the pictures", () => controlsMove(page));

  test("the mask that is shown is that of the command below it", () => panelIsTheCommand(page));

  test("all and nothing can be dropped", async () => {
    await setRate(page, 0);
    const nothing = await panels(page);
    assert.equal(nothing.output, nothing.input);
    assert.match(await page.locator("#mask-note").textContent(), /^100.0%/);
    await setRate(page, 1);
    const all = await panels(page);
    assert.equal(all.output, all.mask);
    assert.match(await page.locator("#mask-note").textContent(), /^0.0%/);
    await setRate(page, 0.5);
  });

  test("what is no number is marked and does no harm", async () => {
    await page.locator("#seed").fill("18446744073709551616");
    await panels(page);
    assert.equal(await page.locator("#seed:invalid").count(), 1);
    await page.locator("#seed").fill("42");
    await panels(page);
    assert.equal(await page.locator("#seed:invalid").count(), 0);
  });

  test("playing takes the next streams, and pauses", async () => {
    await page.getByText("Play").click();
    await page.waitForFunction(() => document.getElementById("stream").value < 100);
    await page.getByText("Pause").click();
    await panels(page);
    const stream = await page.locator("#stream").inputValue();
    assert.ok(BigInt(stream) < 2n ** 32n, `from 2^64 - 1 on to ${stream}`);
    await panelIsTheCommand(page);
  });

  test("dropout is measured beside a copy", async () => {
    await page.getByRole("button", { name: "Measure" }).click();
    await page.locator("#benchmark-run:enabled").waitFor({ timeout: 180_000 });
    const rows = await page.locator("#times tr").allTextContents();
    assert.equal(rows.length, await page.locator("#plot circle").count());
    assert.ok(rows.length > 4);
    assert.match(await page.locator("#benchmark-status").textContent(), /says nothing about a GPU's speed/);
  });

  test("the audit passes, with the contract's mask hash, and its JSON is the command line's", async () => {
    await page.getByRole("button", { name: "Verify this GPU" }).click();
    await page.locator("#verify-run:enabled").waitFor({ timeout: 900_000 });
    const rows = await page.locator("#checks tr").evaluateAll((all) =>
      all.map((row) => [0, 2, 3].map((cell) => row.cells[cell].textContent)));
    assert.equal(rows.length, 20);
    assert.deepEqual(rows.filter(([, outcome]) => outcome !== "ok"), []);
    assert.equal(await page.locator("#hash").textContent(), MASK_HASH);
    assert.equal(await page.locator("#hash-verdict").textContent(), "the right one");

    const download = page.waitForEvent("download");
    await page.getByText("Save JSON").click();
    copyFileSync(await (await download).path(), process.env.AUDIT);
    const record = JSON.parse(readFileSync(process.env.AUDIT));
    const folder = "../../adapters";
    const native = JSON.parse(readFileSync(`${folder}/${readdirSync(folder)[0]}`));
    assert.deepEqual(Object.keys(record), Object.keys(native));
    assert.deepEqual(Object.keys(record.adapters[0]), Object.keys(native.adapters[0]));
    assert.equal(record.adapters[0].mask_hash, MASK_HASH);
    assert.deepEqual(Object.keys(record.adapters[0].checks[0]), ["name", "outcome", "figure"]);
    assert.equal(record.adapters[0].device_type, "cpu");
    assert.match(markdownRows(process.env.AUDIT), /`linux wasm32` .* 20 passed/);
  });

  test("it looks as these pictures show", async () => {
    await page.getByLabel("Elementwise").check();
    await panels(page);
    await screenshot(page, "light");
    for (const [name, kind, options] of [
      ["dark", "Feature", { colorScheme: "dark" }],
      ["narrow", "Time-locked", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 }],
    ]) {
      const other = await open(browser, options);
      await other.getByLabel(kind).check();
      await panels(other);
      await screenshot(other, name);
      const [inside, outside] = await other.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
      assert.ok(inside <= outside, `${name}: ${inside} pixels in ${outside}`);
      assert.deepEqual(other.wrong, []);
      await other.close();
    }
  });

  test("each control has a name, and the keyboard reaches it", async () => {
    assert.equal(await page.getByRole("slider", { name: "Rate p" }).count(), 1);
    const all = await page.locator("button:enabled, input:not([type=radio], [hidden]), #input").count();
    await page.locator("body").click({ position: { x: 1, y: 1 } });
    const reached = new Set();
    for (let turn = 0; turn < 2 * all; turn++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => {
        const { id, tagName } = document.activeElement;
        return tagName === "PRE" || tagName === "BODY" ? "" : document.activeElement.name === "kind" ? "" : id;
      }));
    }
    reached.delete("");
    assert.equal(reached.size, all, [...reached].join(" "));
  });

  test("the policy refuses what the page does not need", async () => {
    const other = await open(browser);
    const refused = await other.evaluate(async () => {
      const refused = [];
      document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "window.hostile = true";
      const style = document.createElement("style");
      const image = new Image();
      image.src = "http://127.0.0.1:9/image.png";
      const frame = document.createElement("iframe");
      frame.src = "http://127.0.0.1:9/";
      document.body.append(script, style, image, frame);
      await fetch("http://127.0.0.1:9/").catch(() => {});
      try { new Worker(URL.createObjectURL(new Blob([""]))); } catch { /* Refused. */ }
      for (let turn = 0; turn < 100 && refused.length < 6; turn++) {
        await new Promise((done) => setTimeout(done, 20));
      }
      return refused.concat(window.hostile ? "a script ran" : []);
    });
    assert.deepEqual(refused.sort(), ["connect-src", "frame-src", "img-src", "script-src-elem", "style-src-elem", "worker-src"]);
    await other.close();
  });

  test("nothing was thrown, nothing refused, nothing asked of other sites", () => {
    assert.deepEqual(page.wrong, []);
  });
});

describe("without WebGPU", () => {
  let browser;
  let page;
  before(async () => {
    browser = await launch({ webgpu: false });
    page = await open(browser);
  });
  after(() => browser.close());

  test("the page says so, and what needs a GPU is disabled", async () => {
    assert.match(await page.locator("#adapter").textContent(), /no WebGPU here.*CPU path/);
    assert.equal(await page.locator("#verify-run").isDisabled(), true);
    assert.equal(await page.locator("#benchmark-run").isDisabled(), true);
  });

  test("the CPU path's bits are the native ones", () => sameBits(page, false));

  test("each control moves the pictures", () => controlsMove(page));

  test("the mask that is shown is that of the command below it", () => panelIsTheCommand(page));

  test("it looks as this picture shows", async () => {
    await page.getByLabel("Drop path").check();
    await panels(page);
    await screenshot(page, "fallback");
    assert.deepEqual(page.wrong, []);
  });
});
