// Another marketplace, with categories, columns, a currency and a language of its own: prepared, trained, exported, served.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { repository, startServer } from "../sample_server.mjs";
import { categories, columns, drawing, listings, write } from "./market.mjs";

const program = join(repository, "target/release/marketrank-train");
const train = (...flags) => promisify(execFile)(program, flags, { cwd: repository, maxBuffer: 1 << 24 });

let folder;
let server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "marketplace-"));
  const inside = (name) => join(folder, name);
  await write(inside("market"));
  await train("prepare", "--data", inside("market"), "--out", inside("clean"), ...columns);
  const places = ["--clean", inside("clean"), "--runs", inside("runs"), "--features", inside("features")];
  for (const model of ["text", "image", "combined"]) {
    await train("train", model, ...places, "--epochs", "4", "--batch-size", "8");
  }
  await train("export", ...places, "--models", inside("models"));
  server = await startServer({
    listings: inside("clean/products.csv"), photos: inside("clean/photos"), models: inside("models"),
  });
}, { timeout: 1_800_000 });
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

const ask = async (route, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${server.url}${route}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
  return answer.json();
};

test("the models know this marketplace's categories and its currency", async () => {
  const manifest = JSON.parse(await readFile(join(folder, "models/manifest.json"), "utf8"));
  assert.deepEqual(manifest.categories.toSorted(), categories);
  assert.equal(manifest.currency, "EUR");
});

test("new texts, photos and both get one of these categories, and most the right one", async () => {
  const unseen = [
    ["Herrenrad 28 Zoll, neue Reifen, Rahmenhöhe 58", "Fahrräder", [205, 50, 38]],
    ["Couchtisch aus Eiche, Nichtraucherhaushalt", "Möbel", [135, 95, 55]],
    ["Roman, gebunden, einmal gelesen", "Bücher", [65, 118, 198]],
    ["Tablet mit Ladekabel und Rechnung, Display ohne Kratzer", "Elektronik", [45, 178, 120]],
  ];
  const right = { text: 0, image: 0, combined: 0 };
  for (const [title, category, colour] of unseen) {
    const images = [{ base64: drawing(colour, 3).toString("base64") }];
    for (const body of [{ title }, { images }, { title, images }]) {
      const { category: predicted, predictions, price, model } = await ask("/v1/predict-category", { ...body, top_k: 100 });
      assert.deepEqual(predictions.map((each) => each.category).toSorted(), categories);
      if (body.title) assert.equal(price.currency, "EUR");
      if (predicted === category) right[model.name] += 1;
    }
  }
  // One in four would be chance.
  for (const [model, count] of Object.entries(right)) assert.ok(count >= 3, `${model}: ${count} of 4`);
});

test("its listings are searched in its own language, and counted by its own categories", async () => {
  const { results, facets } = await ask("/v1/rank-products", { query: { text: "Lastenrad" }, facets: ["category"], limit: 3 });
  assert.match(results[0].product.title, /^Lastenrad/);
  assert.equal(results[0].product.currency, "EUR");
  assert.deepEqual(facets.category.map(({ value, count }) => [value, count]).toSorted(), categories.map((name) => [name, 15]));
  assert.equal(listings.length, 60);
});
