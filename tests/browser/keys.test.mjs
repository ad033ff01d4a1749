// A server that asks for API keys, and the page that asks the visitor for one.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { program, startServer } from "../sample_server.mjs";
import { launch, titles, visit } from "./visit.mjs";

let folder;
let key;
let server;
let browser;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "keys-"));
  const { stdout } = await promisify(execFile)(program, ["keys", "new", "--scopes", "predict,rank"]);
  const file = join(folder, "keys");
  let line;
  [key, line] = stdout.trim().split("\n");
  await writeFile(file, `${line}\n`);
  [server, browser] = await Promise.all([startServer({ flags: ["--api-keys-file", file] }), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(folder, { recursive: true });
});

test("a visitor without a key is asked for one, told of a wrong one, and let in with the right one", async () => {
  const { page, complaints } = await visit(browser, server.url, { first: "#key-dialog" });
  const field = page.getByRole("dialog").getByLabel("API key");
  await field.fill("wrong");
  await field.press("Enter");
  await page.getByRole("dialog").getByText("is not one that is let in").waitFor();
  await field.fill(key);
  await field.press("Enter");
  await page.locator(".card").first().waitFor();
  assert.equal((await titles(page)).length, 24);
  // An image element sends no key: the page fetches photos with it.
  const photo = page.locator("img.picture[src^='blob:']").first();
  await photo.waitFor();
  await photo.scrollIntoViewIfNeeded();
  await page.waitForFunction((image) => image.naturalWidth > 0, await photo.elementHandle());
  await page.getByLabel("Title").fill("Red road bike");
  await page.getByText("text model").waitFor();
  assert.deepEqual(complaints.filter((text) => !text.includes("401")), []);
  await page.context().close();
});

test("who declines is told so and can give a key later", async () => {
  const { page } = await visit(browser, server.url, { first: "#key-dialog" });
  await page.getByRole("button", { name: "Not now" }).click();
  await page.locator("#search-fault").getByText("needs an API key").waitFor();
  await page.getByRole("button", { name: "API key" }).click();
  await page.getByRole("dialog").getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Use this key" }).click();
  await page.locator(".card").first().waitFor();
  await page.context().close();
});
