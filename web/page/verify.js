// The auditor's table, which is filled check by check, and its record.

import { copy, element, unavailable } from "./page.js";
import { checks, contractHash, contractVersion, version } from "./wgpu_dropout_web.js";

const WORDS = { passed: "ok", failed: "FAILED", not_applicable: "n/a" };

/** Starts the section. `adapter` is the result of `describe` in `adapter.js`. */
export function start(gpu, adapter, failed) {
  let record = null;
  const fresh = () => element("checks").replaceChildren(...checks().map(row));
  fresh();
  if (gpu === null) return unavailable("verify");

  element("verify-run").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    fresh();
    const rows = element("checks").rows;
    const done = [];
    const progress = element("verify-progress");
    [progress.hidden, progress.max, progress.value] = [false, rows.length, 0];
    element("verify-status").textContent = "Checking…";
    element("verify-status").className = "";
    try {
      const begin = performance.now();
      const verdict = await gpu.audit((check) => {
        fill(rows[done.length], check);
        done.push(check);
        progress.value = done.length;
      });
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      record = recordOf(adapter, verdict, done);
      showHash(verdict.maskHash);
      element("verify-status").textContent = verdict.passed
        ? `This GPU computes dropout right: ${done.length} checks in ${seconds} s.`
        : "This GPU does NOT compute dropout right. Please send the JSON.";
      element("verify-status").className = verdict.passed ? "right" : "wrong";
      element("save-json").disabled = element("copy-json").disabled = false;
    } catch (error) {
      failed(error);
    } finally {
      target.disabled = false;
      progress.hidden = true;
    }
  });
  const text = () => `${JSON.stringify(record, null, 2)}\n`;
  element("copy-json").addEventListener("click", ({ target }) => copy(target, text()).catch(failed));
  element("save-json").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text()], { type: "application/json" }));
    link.download = `webgpu ${adapter.name}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-") + ".json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

function row(check) {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = check.name;
  row.append(name);
  for (const part of ["proves", "outcome", "figure"]) row.insertCell().className = part;
  row.cells[1].textContent = check.proves;
  return row;
}

function fill(row, check) {
  row.dataset.outcome = check.outcome;
  row.cells[2].textContent = WORDS[check.outcome] ?? check.outcome;
  row.cells[3].textContent = check.figure ?? check.reason ?? `expected ${check.expected}; got ${check.got}`;
}

function showHash(hash) {
  const right = hash === contractHash();
  element("hash").value = hash ?? "none";
  element("hash-verdict").textContent = right ? "the right one" : `wrong: it must be ${contractHash()}`;
  element("hash-verdict").className = right ? "right" : "wrong";
}

/** The record, in the format of `wgpu-dropout verify --json`. */
function recordOf(adapter, verdict, checks) {
  return {
    version: 1,
    command: "verify",
    date: new Date().toISOString().replace(/\.[0-9]+Z/, "Z"),
    library: version(),
    contract: contractVersion(),
    os: adapter.os,
    architecture: "wasm32",
    passed: verdict.passed,
    mask_hash_of_contract: contractHash(),
    adapters: [{
      backend: "webgpu",
      name: adapter.name,
      device_type: adapter.software ? "cpu" : "other",
      driver: adapter.browser,
      driver_info: "",
      vendor_id: 0,
      device_id: 0,
      passed: verdict.passed,
      mask_hash: verdict.maskHash ?? null,
      error: null,
      checks: checks.map(({ name, outcome, figure, expected, got, reason }) =>
        ({ name, outcome, figure, expected, got, reason })),
    }],
  };
}
