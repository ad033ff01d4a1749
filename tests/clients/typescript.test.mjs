// The TypeScript client: generated, compiled, and used against a server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { repository, startServer } from "../sample_server.mjs";

const folder = join(repository, "openapi/typescript");
const execute = promisify(execFile);

let server;
let client;
before(async () => {
  [server] = await Promise.all([startServer(), execute("npm", ["run", "build"], { cwd: folder })]);
  const { marketrank } = await import(join(folder, "dist/index.js"));
  client = marketrank(server.url);
});
after(() => server?.stop());

test("it predicts, stores, ranks and deletes", async () => {
  const predicted = await client.POST("/v1/predict-category", { body: { title: "Leather walking boots" } });
  assert.equal(predicted.response.status, 200);
  assert.equal(predicted.data.predictions.length, 5);

  const params = { path: { id: "boots-1" } };
  const stored = await client.PUT("/v1/products/{id}", { params, body: { title: "Leather walking boots", price: 25 } });
  assert.equal(stored.data.category, predicted.data.category);
  assert.equal(stored.data.category_predicted, true);

  const ranked = await client.POST("/v1/rank-products", { body: { query: { text: "leather walking boots" }, limit: 1 } });
  assert.equal(ranked.data.results[0].id, "boots-1");

  assert.equal((await client.DELETE("/v1/products/{id}", { params })).response.status, 204);
  const gone = await client.GET("/v1/products/{id}", { params });
  assert.equal(gone.error.code, "not_found");
  assert.equal(gone.data, undefined);
});

test("what fits the server compiles, and what does not does not", async () => {
  const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];
  const compiler = join(folder, "node_modules/.bin/tsc");
  const { stdout } = await execute(compiler, [...flags, join(repository, "tests/clients/usage.ts")], { cwd: folder }).catch((error) => error);
  assert.equal(stdout, "");
});
