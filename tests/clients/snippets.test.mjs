// Every block of code in docs/clients.md, run in the order of the page against a server with the sample listings.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { repository, startServer } from "../sample_server.mjs";

const run = {
  sh: ["bash", "-euo", "pipefail", "-c"],
  python: [join(repository, ".cache/tests-python/bin/python"), "-c"],
  js: ["node", "--input-type=module", "--eval"],
};

const page = await readFile(join(repository, "docs/clients.md"), "utf8");
const blocks = [...page.matchAll(/```(\w+)\n(.*?)```(?:\n\n```text\n(.*?)```)?/gs)]
  .map(([, language, code, printed]) => ({ language, code, printed }))
  .filter(({ language }) => language !== "text");

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

test("the page has snippets for each kind of client", () => {
  for (const language of Object.keys(run)) {
    assert.ok(blocks.filter((block) => block.language === language).length >= 3, language);
  }
});

for (const [index, { language, code, printed }] of blocks.entries()) {
  test(`snippet ${index + 1}, ${language}: ${code.trim().split("\n")[0]}`, async () => {
    const [command, ...flags] = run[language];
    const here = code.replaceAll("http://localhost:8080", server.url);
    const { stdout } = await promisify(execFile)(command, [...flags, here], { cwd: repository, timeout: 60_000 });
    if (printed === undefined) assert.notEqual(stdout.trim(), "");
    else assert.equal(stdout.trim(), printed.trim());
  });
}
