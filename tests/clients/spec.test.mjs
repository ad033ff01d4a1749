// The OpenAPI document: clean to a linter, and true of the server for hundreds of made-up requests.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { repository, startServer } from "../sample_server.mjs";

const execute = promisify(execFile);
const inside = (path) => join(repository, path);
const outcome = (running) => running.then(() => "", ({ stdout, stderr }) => `${stdout}\n${stderr}`);

test("redocly finds no fault in the document", async () => {
  const lint = ["lint", inside("openapi/openapi.json"), "--config", inside("tests/clients/redocly.yaml")];
  const environment = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  const found = await outcome(execute(inside("tests/node_modules/.bin/redocly"), lint, { env: environment }));
  assert.equal(found, "");
});

test("schemathesis finds no answer that the document does not allow", async () => {
  // Photos are not fetched: the addresses are made up too.
  const server = await startServer({ flags: ["--no-fetch"] });
  try {
    const run = ["run", `${server.url}/openapi.json`, "--phases", "examples,coverage,fuzzing", "--max-examples", "10",
      "--seed", "7", "--warnings", "off", "--continue-on-failure"];
    const flags = ["--config-file", inside("tests/clients/schemathesis.toml"), ...run];
    const hooks = { SCHEMATHESIS_HOOKS: "ndjson", PYTHONPATH: inside("tests/clients"), PYTHONDONTWRITEBYTECODE: "1" };
    const options = { timeout: 1_800_000, maxBuffer: 1 << 24, env: { ...process.env, ...hooks } };
    const found = await outcome(execute(inside(".cache/tests-python/bin/schemathesis"), flags, options));
    assert.equal(found, "");
  } finally {
    await server.stop();
  }
});
