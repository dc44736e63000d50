// A description of the adapter and of the browser, from the browser's own interface: wgpu passes on only the
// adapter's description, which browsers leave empty.

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

/** The browser's name and major version. */
function browser() {
  const brands = navigator.userAgentData?.brands ?? [];
  const known = brands.filter(({ brand }) => !/not.*brand/i.test(brand));
  // A browser built on Chromium lists Chromium beside its own name.
  const { brand, version } = known.find(({ brand }) => brand !== "Chromium") ?? known[0] ?? {};
  if (brand !== undefined) return `${brand} ${version}`;
  const [, firefox] = /Firefox\/([0-9]+)/.exec(navigator.userAgent) ?? [];
  const [, safari] = /Version\/([0-9.]+).*Safari/.exec(navigator.userAgent) ?? [];
  return firefox ? `Firefox ${firefox}` : safari ? `Safari ${safari}` : "unknown browser";
}

/** The operating system, by Rust's name for it, as in `verify --json`. */
function os() {
  const systems = [
    ["android", /Android/], ["ios", /iPhone|iPad/], ["macos", /Mac OS/], ["windows", /Windows/], ["linux", /Linux/],
  ];
  return systems.find(([, pattern]) => pattern.test(navigator.userAgent))?.[0] ?? "unknown";
}
