// The pictures of the README: `make screenshots`. Sample listings only.

import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

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
  await page.waitForTimeout(600);
  return page;
}

/** Chromium writes PNG; WebP of the same picture is a third of its size. */
async function save(page, name) {
  const png = join(folder, `${name}.png`);
  await page.screenshot({ path: png });
  await promisify(execFile)("convert", [png, "-quality", "88", join(folder, `${name}.webp`)]);
  await rm(png);
}

const scrollTo = (page, selector) => page.locator(selector).evaluate((node) => node.scrollIntoView({ behavior: "instant" }));

const light = await answered({ height: 800 });
await scrollTo(light, "#categorise");
await save(light, "categorise");

const dark = await answered({ height: 800, scheme: "dark" });
await ranking(dark, () => dark.getByRole("searchbox", { name: "Search words" }).fill("something to ride to work"));
await scrollTo(dark, "#search");
await dark.locator(".card").first().getByRole("button", { name: /^Why here/ }).click();
await dark.waitForTimeout(600);
await save(dark, "search-dark");

const narrow = await answered({ width: 360, height: 780, deviceScaleFactor: 2 });
await scrollTo(narrow, "#answer");
await save(narrow, "narrow");

await browser.close();
await server.stop();
