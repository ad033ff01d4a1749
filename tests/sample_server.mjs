// The built program over listings, for the tests that are written in JavaScript.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const repository = fileURLToPath(new URL("..", import.meta.url));
export const samplePhoto = (name) => join(repository, "sample/photos", name);

export const program = process.env.MARKETRANK ?? join(repository, "target/release/marketrank");

const SAMPLE = { listings: "sample/products.csv", photos: "sample/photos", models: "models", flags: [] };

/**
 * Imports listings into a folder of its own and serves them on a free port: `{url, stop}`. What is left out is the sample's;
 * `flags` are further ones of `serve`.
 */
export async function startServer(choices = {}) {
  const { listings, photos, models, flags } = { ...SAMPLE, ...choices };
  const folder = await mkdtemp(join(tmpdir(), "marketrank-"));
  const options = { cwd: repository };
  const data = ["--models", models, "--data-dir", join(folder, "catalogue")];
  await promisify(execFile)(program, ["import", listings, "--photos", photos, ...data], options);
  const server = spawn(program, ["serve", "--listen", "127.0.0.1:0", ...data, ...flags], {
    ...options,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const url = await address(server);
  const stop = async () => {
    server.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return { url, stop };
}

function address(server) {
  return new Promise((resolve, reject) => {
    const said = [];
    createInterface({ input: server.stderr }).on("line", (line) => {
      said.push(line);
      const found = /ready: (https?:\/\/[\d.:]+)/.exec(line);
      if (found) resolve(found[1]);
    });
    server.once("exit", () => reject(new Error(`the server did not start:\n${said.join("\n")}`)));
  });
}
