// A visit to the page in Chromium. Whatever the browser complains of, and every request to elsewhere, is kept.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Debian's Chromium. Its sandbox runs neither as root nor on every CI machine, and what it visits is our own page. */
export function launch() {
  const args = process.getuid() === 0 || process.env.CI ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

/** Opens the page and waits for what comes `first`, or for the first listings: `{page, complaints}`. */
export async function visit(browser, url, { first = ".card", width = 1280, height = 900, scheme = "light", ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  // A machine that builds at the same time is slow; nothing here depends on how slow.
  page.setDefaultTimeout(90_000);
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (!["blob:", "data:"].includes(target.protocol) && target.origin !== url) complaints.push(`asked ${target}`);
  });
  await page.goto(url);
  await page.locator(first).first().waitFor();
  return { page, complaints };
}

/** Does something and waits for the ranking that it starts, of several the one that is `wanted`; gives the request's body. */
export async function ranking(page, action, wanted = () => true) {
  const answered = page.waitForResponse((answer) => {
    if (!answer.url().endsWith("/v1/rank-products") || !answer.ok()) return false;
    const request = answer.request().postDataJSON();
    return request.explain && wanted(request);
  });
  await action();
  const answer = await answered;
  const { results } = await answer.json();
  await page.waitForFunction(
    (ids) => ids.join() === [...document.querySelectorAll(".card")].map((card) => card.dataset.id).join(),
    results.map(({ id }) => id));
  return answer.request().postDataJSON();
}

/** What axe-core finds on the page as it is now: `rule: element` for each fault. */
export async function accessibilityFaults(page) {
  // Through the debugger: the policy of the page lets no other script in.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}

export const titles = (page) => page.locator(".card .title").allTextContents();
