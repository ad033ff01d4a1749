// The pictures of the README: `make screenshots`. Sample listings only.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { repository, samplePhoto, startServer } from "../sample_server.mjs";
import { launch, ranking, visit } from "./visit.mjs";

const folder = join(repository, "docs/images");
await mkdir(folder, { recursive: true });
const [server, browser] = await Promise.all([startServer(), launch()]);

async function answered(options) {
  const { page } = await visit(browser, server.url, options);
  await page.getByLabel("Choose photos").setInputFiles(samplePhoto("bicycle.jpg"));
  await page.getByLabel("Title").fill("Red road bike, 54cm frame");
  await page.getByLabel("Description").fill("New brake pads and cables in April, tyres have another season in them.");
  await page.getByText("combined model").waitFor();
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForLoadState("networkidle");
  return page;
}

/** Chromium takes pictures as PNG; its canvas makes WebP of them, a third of the size. */
async function save(page, name) {
  const png = await page.screenshot();
  const canvas = await browser.newPage();
  const webp = await canvas.evaluate(async (source) => {
    const bitmap = await createImageBitmap(await (await fetch(source)).blob());
    const surface = new OffscreenCanvas(bitmap.width, bitmap.height);
    surface.getContext("2d").drawImage(bitmap, 0, 0);
    const blob = await surface.convertToBlob({ type: "image/webp", quality: 0.9 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, `data:image/png;base64,${png.toString("base64")}`);
  await canvas.close();
  await writeFile(join(folder, `${name}.webp`), Buffer.from(webp));
}

const scrollTo = (page, selector) => page.locator(selector).evaluate((node) => node.scrollIntoView({ behavior: "instant" }));

const light = await answered({ height: 1180 });
await light.getByRole("button", { name: "What it looked at" }).click();
await light.evaluate(() => document.activeElement.blur());
await scrollTo(light, "#categorise");
await save(light, "categorise");

const dark = await answered({ height: 1000, scheme: "dark" });
await ranking(dark, () => dark.getByRole("searchbox", { name: "Search words" }).fill("couch for two people"));
await scrollTo(dark, "#search");
await dark.locator(".card").first().getByRole("button", { name: /^Why here/ }).click();
await dark.waitForLoadState("networkidle");
await save(dark, "search-dark");

const narrow = await answered({ width: 360, height: 780, deviceScaleFactor: 2 });
await scrollTo(narrow, "#answer");
await save(narrow, "narrow");

await browser.close();
await server.stop();
