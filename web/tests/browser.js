// Opens the page in headless Chromium.

import { chromium } from "playwright-core";

/** Options without which Chromium asks the network for updates. */
const QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** Options that choose SwiftShader, which comes with Chromium. */
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

export async function launch({ webgpu }) {
  const root = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: process.env.BROWSER,
    args: [...QUIET, ...(webgpu ? WEBGPU : []), ...(root ? ["--no-sandbox"] : [])],
  });
}

/** Opens the page and waits until it is ready. `page.wrong` collects exceptions, refusals by its policy and requests to
 * other sites. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") page.wrong.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${process.env.PAGE}/`) && !url.startsWith("blob:")) page.wrong.push(url);
  });
  await page.goto(`${process.env.PAGE}/`);
  await page.locator("html[data-ready]").waitFor({ timeout: 60_000 });
  return page;
}

/** Saves a picture of the whole page for a person to look at. */
export async function screenshot(page, name) {
  await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
}
