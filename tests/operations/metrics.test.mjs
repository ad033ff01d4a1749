// The dashboard and the alerts ask for metrics that a server has, by labels that they have.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";

import { repository, samplePhoto, startServer } from "../sample_server.mjs";

const text = (path) => readFileSync(join(repository, path), "utf8");
const panels = JSON.parse(text("docker/grafana/dashboards/marketrank.json")).panels;
const rules = parse(text("docker/prometheus/alerts.yml")).groups.flatMap(({ rules }) => rules);
const queries = [
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr }))),
  ...rules.map(({ alert, expr }) => ({ title: alert, expr })),
];

/** Labels of each series' name, `le` of histograms included. */
// `up` is Prometheus' own.
const series = new Map([["up", new Set(["job", "instance"])]]);
let server;

before(async () => {
  server = await startServer();
  const post = (route, body) =>
    fetch(server.url + route, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const photo = readFileSync(samplePhoto("sofa.jpg")).toString("base64");
  const images = [{ base64: photo }];
  for (const listing of [{ title: "Sofa" }, { images }, { title: "Sofa", images }]) {
    assert.equal((await post("/v1/predict-category", listing)).status, 200);
  }
  assert.equal((await post("/v1/rank-products", { query: { text: "sofa" } })).status, 200);
  for (const line of (await (await fetch(`${server.url}/metrics`)).text()).split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line);
    if (!found) continue;
    const labels = [...(found[2] ?? "").matchAll(/(\w+)="/g)].map(([, label]) => label);
    series.set(found[1], new Set([...(series.get(found[1]) ?? []), ...labels]));
  }
});
after(() => server?.stop());

test("there are queries to ask about", () => {
  assert.ok(queries.length > 15);
});

for (const { title, expr } of queries) {
  test(`${title}: ${expr.trim().slice(0, 60)}`, () => {
    const names = expr.match(/\bmarketrank_\w+|\bup\b(?=\{)/g);
    for (const name of names) assert.ok(series.has(name), `a server has no ${name}`);
    const known = new Set(names.flatMap((name) => [...series.get(name)]));
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels]) => labels.split(",").map((label) => label.trim()));
    const selected = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, labels]) => [...labels.matchAll(/(\w+)[=!]/g)].map(([, label]) => label));
    for (const label of [...grouped, ...selected]) assert.ok(known.has(label), `${names} has no label ${label}`);
  });
}

test("every metric of the server is on the dashboard", () => {
  const asked = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join("\n");
  const names = new Set([...series.keys()].filter((name) => name.startsWith("marketrank_"))
    .map((name) => name.replace(/_(bucket|sum|count)$/, "")));
  for (const name of names) assert.ok(asked.includes(name), `${name} is on no panel`);
});
