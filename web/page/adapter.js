// What the browser tells of its adapter and of itself. wgpu passes on the description alone, which
// browsers leave empty.

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|warp/i;

export async function describe() {
  const adapter = await navigator.gpu?.requestAdapter() ?? null;
  const info = adapter?.info;
  const words = [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean);
  const name = words.join(" ") || "unnamed adapter";
  return {
    present: adapter !== null,
    name,
    software: Boolean(info?.isFallbackAdapter) || SOFTWARE.test(name),
    browser: browser(),
    os: os(),
  };
}

/** Its name and major version. */
function browser() {
  const brands = navigator.userAgentData?.brands ?? [];
  const known = brands.filter(({ brand }) => !/not.*brand/i.test(brand));
  // Chromium names itself beside the product that it is the engine of.
  const { brand, version } = known.find(({ brand }) => brand !== "Chromium") ?? known[0] ?? {};
  if (brand !== undefined) return `${brand} ${version}`;
  const [, firefox] = /Firefox\/([0-9]+)/.exec(navigator.userAgent) ?? [];
  const [, safari] = /Version\/([0-9.]+).*Safari/.exec(navigator.userAgent) ?? [];
  return firefox ? `Firefox ${firefox}` : safari ? `Safari ${safari}` : "unknown browser";
}

/** In Rust's words, as `verify --json` has it. */
function os() {
  const systems = [
    ["android", /Android/], ["ios", /iPhone|iPad/], ["macos", /Mac OS/], ["windows", /Windows/], ["linux", /Linux/],
  ];
  return systems.find(([, pattern]) => pattern.test(navigator.userAgent))?.[0] ?? "unknown";
}
