// Every operation of the OpenAPI document, sent as its example says, is answered: what `/docs` offers to try works.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { repository, samplePhoto, startServer } from "../sample_server.mjs";

const { paths, components } = JSON.parse(readFileSync(join(repository, "openapi/openapi.json"), "utf8"));
const resolved = ({ $ref, ...schema }) => ($ref ? { ...components.schemas[$ref.split("/").at(-1)], ...schema } : schema);

/** What a page for the document fills in: the schema's own example, or one made of its parts'. Undefined where there is none. */
function example(schema) {
  const { example: own, type, items, properties } = resolved(schema);
  if (own !== undefined) return own;
  if (type === "array") return [example(items)];
  if (!properties) return undefined;
  const parts = Object.entries(properties).map(([name, part]) => [name, example(part)]);
  return Object.fromEntries(parts.filter(([, part]) => part !== undefined));
}

/** A form with a photo in each field for a file, for which a document can have no example. */
function form(schema) {
  const filled = new FormData();
  for (const [name, value] of Object.entries(example(schema) ?? {})) filled.set(name, value);
  for (const [name, { format, items }] of Object.entries(resolved(schema).properties)) {
    if ((items?.format ?? format) === "binary") filled.set(name, new Blob([readFileSync(samplePhoto("sofa.jpg"))]), "sofa.jpg");
  }
  return filled;
}

const writers = {
  "application/json": (content) => JSON.stringify(content.example ?? example(content.schema)),
  "application/x-ndjson": (content) => content.example,
  "application/x-www-form-urlencoded": (content) => new URLSearchParams(example(content.schema)).toString(),
  "multipart/form-data": (content) => form(content.schema),
};
// Tensors as bytes have no example.
const asBytes = "application/octet-stream";

/** What is stored by one is deleted by the other. */
const order = ["get", "post", "put", "delete"];
const operations = Object.entries(paths)
  .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })))
  .sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
let server;

before(async () => {
  server = await startServer();
});
after(() => server?.stop());

for (const { path, method, operationId, parameters = [], requestBody } of operations) {
  const kinds = Object.entries(requestBody?.content ?? { none: {} }).filter(([kind]) => kind !== asBytes);
  for (const [kind, content] of kinds) {
    test(`${operationId} works as its example says${requestBody ? `, as ${kind}` : ""}`, async () => {
      const address = path.replace(/\{(\w+)\}/g, (_, name) => {
        const parameter = parameters.find((parameter) => parameter.name === name);
        return parameter.example ?? example(parameter.schema) ?? assert.fail(`${name} has no example`);
      });
      const body = requestBody && (writers[kind](content) ?? assert.fail("there is no example"));
      // A form names its own boundary.
      const headers = typeof body === "string" ? { "content-type": kind } : {};
      const answer = await fetch(server.url + address, { method: method.toUpperCase(), headers, body });
      const text = await answer.text();
      assert.ok(answer.ok, `${answer.status} ${text.slice(0, 500)}`);
      // A batch answers 200 and has each item's own error inside.
      assert.doesNotMatch(text, /"error":\{/);
    });
  }
}

test("every kind of body that a client may send is tried", () => {
  const kinds = operations.flatMap(({ requestBody }) => Object.keys(requestBody?.content ?? {}));
  assert.deepEqual([...new Set(kinds)].sort(), [...Object.keys(writers), asBytes].sort());
});
