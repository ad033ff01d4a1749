// The page, driven in Chromium against the real server over the sample listings.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { samplePhoto, startServer } from "../sample_server.mjs";
import { accessibilityFaults, launch, ranking, titles, visit } from "./visit.mjs";

let server;
let browser;
let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "photos-"));
  [server, browser] = await Promise.all([startServer(), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await rm(folder, { recursive: true });
});

/** A test on a fresh visit; afterwards the browser has nothing to complain of but `expected`. */
function onThePage(name, body, { expected = [], ...options } = {}) {
  test(name, async () => {
    const { page, complaints } = await visit(browser, server.url, options);
    try {
      await body(page);
    } finally {
      await page.context().close();
    }
    assert.deepEqual(complaints.filter((text) => !expected.some((pattern) => pattern.test(text))), []);
  });
}

const words = (page) => page.getByRole("searchbox", { name: "Search words" });
const category = (page) => page.locator(".verdict .category");

/** A sample photo in the right half of one that is twice as wide and otherwise blank, as a file to choose. */
async function besideNothing(page, name) {
  const base64 = await page.evaluate(async (base64) => {
    const photo = new Image();
    photo.src = `data:image/jpeg;base64,${base64}`;
    await photo.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * photo.width, photo.height];
    const context = canvas.getContext("2d");
    context.fillStyle = "#a0a0a0";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(photo, photo.width, 0);
    return canvas.toDataURL("image/png").split(",")[1];
  }, await readFile(samplePhoto(name), "base64"));
  return { name: "wide.png", mimeType: "image/png", buffer: Buffer.from(base64, "base64") };
}

describe("categorising", () => {
  onThePage("a photo and a title get a category, runners-up, a price band and a verdict on review", async (page) => {
    await page.getByLabel("Choose photos").setInputFiles(samplePhoto("bicycle.jpg"));
    await page.getByLabel("Title").fill("Red road bike, 54cm frame");
    await page.getByText("combined model").waitFor();
    assert.equal(await category(page).textContent(), "Sports, Leisure & Travel");
    assert.equal(await page.locator(".bars li").count(), 5);
    assert.match(await page.locator(".price").textContent(), /^£[\d.]+ to £[\d.,]+, half of them under £[\d.]+/);
    assert.equal(await page.locator(".badge").count(), 1);
    assert.match(await page.locator(".answer-foot").textContent(), /answered in [\d.]+ ms/);
    assert.match(await page.locator("#answer-status").textContent(), /^Sports, Leisure & Travel, [\d.]+ % sure/);
  });

  onThePage("a photo may be dropped", async (page) => {
    const dropped = await page.evaluateHandle((base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "bicycle.jpg", { type: "image/jpeg" }));
      return transfer;
    }, await readFile(samplePhoto("bicycle.jpg"), "base64"));
    await page.getByText("Drop photos here").dispatchEvent("drop", { dataTransfer: dropped });
    await page.getByText("image model").waitFor();
    assert.equal(await page.getByAltText("bicycle.jpg").count(), 1);
  });

  onThePage("a phone offers its camera", async (page) => {
    const camera = page.getByLabel("Take a photo");
    assert.ok(await page.getByText("Take a photo").isVisible());
    assert.equal(await camera.getAttribute("capture"), "environment");
    await camera.setInputFiles(samplePhoto("bicycle.jpg"));
    await page.getByText("image model").waitFor();
  }, { width: 360, hasTouch: true, isMobile: true });

  onThePage("only a photo gets no price, and taking the photo back takes the answer away", async (page) => {
    await page.getByLabel("Choose photos").setInputFiles(samplePhoto("sofa.jpg"));
    await page.getByText("image model").waitFor();
    assert.equal(await page.locator(".price").count(), 0);
    await page.getByRole("button", { name: "Remove sofa.jpg" }).click();
    await page.getByText("The category, its runners-up and a price appear here.").waitFor();
  });

  onThePage("what it looked at is laid over the photo on request, where the thing is, and said in words", async (page) => {
    const wide = await besideNothing(page, "bicycle.jpg");
    const square = { name: "bicycle.jpg", mimeType: "image/jpeg", buffer: await readFile(samplePhoto("bicycle.jpg")) };
    await page.getByLabel("Choose photos").setInputFiles([wide, square]);
    await page.getByText("image model").waitFor();
    const toggle = page.getByRole("button", { name: "What it looked at" });
    const photo = page.getByRole("img", { name: /^Photo 1: what counts lies at the (top )?right$/ });
    assert.equal(await toggle.getAttribute("aria-expanded"), "false");
    assert.equal(await photo.count(), 0);
    await toggle.press("Enter");
    assert.equal(await toggle.getAttribute("aria-expanded"), "true");
    await photo.waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll(".heat img")].every((image) => image.complete));
    const [layers, photos] = await page.evaluate(() => [".heat canvas", ".heat img"].map((elements) =>
      [...document.querySelectorAll(elements)].map((node) => node.getBoundingClientRect().toJSON())));
    assert.equal(photos.length, 2);
    assert.deepEqual(layers, photos);
    const layer = page.locator(".heat canvas").first();
    const [left, right] = await layer.evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const halves = [0, 0];
      for (let cell = 0; cell < data.length / 4; cell += 1) {
        halves[Math.floor((2 * (cell % canvas.width)) / canvas.width)] += data[4 * cell + 3];
      }
      return halves;
    });
    assert.ok(right > 2 * left, `${left} ${right}`);
    await page.getByLabel("Title").fill("Road bike");
    await page.getByText("combined model").waitFor();
    assert.ok(await layer.isVisible());
    await toggle.click();
    assert.ok(!(await layer.isVisible()));
  });

  onThePage("where the words decide, it is said that the photo hardly counts", async (page) => {
    await page.getByLabel("Choose photos").setInputFiles(samplePhoto("fridge.jpg"));
    await page.getByLabel("Title").fill("Navy pram with carrycot and rain cover");
    await page.getByText("combined model").waitFor();
    await page.getByRole("button", { name: "What it looked at" }).click();
    await page.getByText("Hardly any of the photo speaks for Baby & Kids Stuff.").waitFor();
  });

  onThePage("a text alone has nothing to look at", async (page) => {
    await page.getByLabel("Title").fill("Road bike");
    await page.getByText("text model").waitFor();
    assert.equal(await page.getByRole("button", { name: "What it looked at" }).count(), 0);
  });

  onThePage("a file that is too large is named and not sent, and what was chosen before stays", async (page) => {
    const large = join(folder, "garage.jpg");
    await writeFile(large, Buffer.alloc(13 << 20));
    const chooser = page.getByLabel("Choose photos");
    await chooser.setInputFiles(samplePhoto("sofa.jpg"));
    await page.getByText("image model").waitFor();
    const sent = [];
    page.on("request", (request) => sent.push(request.url()));
    await chooser.setInputFiles(large);
    const fault = page.locator("#listing-photos [role=alert]");
    await fault.filter({ hasText: "garage.jpg has 13 MB; a photo may have up to 12 MB." }).waitFor();
    assert.deepEqual(sent.filter((address) => address.includes("predict")), []);
    assert.equal(await page.locator("#listing-photos .previews img").count(), 1);
    assert.ok(await category(page).isVisible());
  });

  onThePage("what the server refuses is said in a sentence", async (page) => {
    await page.getByLabel("Choose photos")
      .setInputFiles({ name: "letter.jpg", mimeType: "image/jpeg", buffer: Buffer.from("Dear buyer, there is no photo.") });
    const notice = page.locator("#answer [role=alert]");
    await notice.waitFor();
    assert.match(await notice.textContent(), /^Photo 1: .*JPEG.*\.$/);
  }, { expected: [/415/] });

  onThePage("a listing of the catalogue can be tried, and listings like it searched for", async (page) => {
    await page.getByRole("button", { name: "Try one of the catalogue" }).click();
    await category(page).waitFor();
    const title = await page.getByLabel("Title").inputValue();
    const { query } = await ranking(page, () => page.getByRole("button", { name: "Find listings like this" }).click());
    assert.equal(query.text, title);
    assert.ok(query.image.base64.length > 100);
    assert.equal((await titles(page))[0], title);
  });
});

describe("searching", () => {
  onThePage("words find what they name", async (page) => {
    await ranking(page, () => words(page).fill("washing machine"));
    assert.match((await titles(page))[0], /washing machine/i);
    assert.match(await page.locator("#search-status").textContent(), /^24 of 97 listings, best first, in [\d.]+ ms$/);
  });

  onThePage("a photo finds what it shows", async (page) => {
    await ranking(page, () => page.getByLabel("Photo to search by").last().setInputFiles(samplePhoto("bicycle.jpg")));
    assert.match((await titles(page))[0], /road bike/);
  });

  onThePage("the slider weighs words against a photo", async (page) => {
    await ranking(page, () => page.getByLabel("Photo to search by").last().setInputFiles(samplePhoto("bicycle.jpg")));
    await ranking(page, () => words(page).fill("acoustic guitar"));
    const slider = page.getByRole("slider", { name: /words count/ });
    const { query } = await ranking(page, () => slider.fill("100"));
    assert.deepEqual(query.weights, { text: 0, image: 2, product: 2 });
    assert.match((await titles(page))[0], /road bike/);
    await ranking(page, () => slider.fill("0"));
    assert.match((await titles(page))[0], /guitar/);
  });

  onThePage("categories and prices filter, and the counts of the other categories stay", async (page) => {
    await ranking(page, () => page.getByRole("button", { name: /^Home & Garden/ }).click());
    await ranking(page, () => page.getByLabel("To", { exact: true }).fill("50"));
    const cards = await page.locator(".card").allTextContents();
    assert.ok(cards.length > 1);
    for (const card of cards) assert.match(card, /Home & Garden/);
    const prices = await page.locator(".card .price-tag").allTextContents();
    for (const price of prices) assert.ok(Number(price.replace(/[^\d.]/g, "")) <= 50, price);
    assert.equal(await page.locator(".chip").count(), 13);
    await ranking(page, () => page.getByRole("button", { name: "Clear the filters" }).click());
    assert.equal(await page.locator(".chip[aria-pressed=true]").textContent(), "Home & Garden8");
  });

  onThePage("a town and a radius keep what is near, with its distance", async (page) => {
    await page.locator('#places option[value="Leeds"]').waitFor({ state: "attached" });
    await ranking(page, () => page.getByLabel("Near", { exact: true }).fill("Leeds"));
    await ranking(page, () => page.getByLabel("Within").selectOption("10"));
    const cards = await page.locator(".card").allTextContents();
    assert.equal(cards.length, 2);
    for (const card of cards) assert.match(card, /Leeds · under 1 km/);
    await page.getByLabel("Near", { exact: true }).fill("Atlantis");
    await page.getByLabel("Near", { exact: true }).blur();
    await page.getByText("No listing seen so far is in Atlantis").waitFor();
  });

  onThePage("a listing says on request why it stands where it does, and the parts add up", async (page) => {
    await ranking(page, () => words(page).fill("road bike"));
    const card = page.locator(".card").first();
    const button = card.getByRole("button", { name: /^Why here/ });
    assert.equal(await button.getAttribute("aria-expanded"), "false");
    await button.click();
    assert.equal(await button.getAttribute("aria-expanded"), "true");
    const parts = (await card.locator("dd b").allTextContents()).map(Number);
    const score = Number(await card.locator(".sum b").textContent());
    assert.ok(parts.length >= 2 && score > 0);
    assert.ok(Math.abs(parts.reduce((sum, part) => sum + part, 0) - score) < 0.002, `${parts} ${score}`);
  });

  onThePage("more like this ranks by the listing and leaves it out", async (page) => {
    await ranking(page, () => words(page).fill("office chair"));
    const like = page.locator(".card").first().getByRole("button", { name: /^More like this/ });
    const { query } = await ranking(page, () => like.click());
    assert.deepEqual(query, { product_id: "office-chair-mesh" });
    assert.equal(await page.evaluate(() => document.activeElement.id), "search-heading");
    assert.ok(!(await titles(page)).includes("Ergonomic mesh office chair, blue seat"));
    await page.locator("#anchor").getByText("More like Ergonomic mesh office chair").waitFor();
    const without = await ranking(page, () => page.getByRole("button", { name: "Search without it" }).click());
    assert.deepEqual(without.query, {});
  });

  onThePage("what was viewed leans the next search until it is forgotten", async (page) => {
    await ranking(page, () => words(page).fill("something for the weekend"));
    const before = await titles(page);
    for (const title of ["Acoustic guitar, full size, with gig bag", "88 key digital piano, weighted keys, stand and stool"]) {
      await ranking(page, () => words(page).fill(title));
      await page.getByRole("button", { name: title, exact: true }).first().click();
      await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    }
    const { user } = await ranking(page, () => words(page).fill("something for the weekend"));
    assert.deepEqual(user.viewed, ["acoustic-guitar-dreadnought", "digital-piano-88"]);
    assert.notDeepEqual(await titles(page), before);
    await page.getByRole("button", { name: "Forget them" }).click();
    await ranking(page, () => page.getByRole("button", { name: "Search", exact: true }).click());
    assert.deepEqual(await titles(page), before);
  });

  onThePage("the next listings come when asked for", async (page) => {
    await page.getByRole("button", { name: "Show more" }).click();
    await page.locator(".card").nth(47).waitFor();
    assert.equal(new Set(await titles(page)).size, 48);
  });

  onThePage("more of one search never stands below the listings of another", async (page) => {
    const asked = page.waitForRequest((request) =>
      request.url().endsWith("/v1/rank-products") && request.postDataJSON().offset === 24);
    const more = await page.getByRole("button", { name: "Show more" }).elementHandle();
    // In one go: what was typed is not asked for yet.
    await words(page).evaluate((input, more) => {
      input.value = "two man tent";
      input.dispatchEvent(new Event("input", { bubbles: true }));
      more.click();
    }, more);
    assert.deepEqual((await asked).postDataJSON().query, {});
    await page.locator("#search-status").getByText("best first").waitFor();
    assert.equal((await titles(page)).length, 24);
  });
});

describe("for everyone", () => {
  onThePage("the keyboard alone searches, opens a listing and comes back to it", async (page) => {
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await ranking(page, async () => {
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      await page.keyboard.type("tent");
      await page.keyboard.press("Enter");
    }, (request) => request.query.text === "tent");
    const title = page.locator(".card .title").first();
    await title.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: /tent/ }).waitFor();
    await page.keyboard.press("Escape");
    assert.ok(await title.evaluate((node) => node === document.activeElement));
  });

  for (const scheme of ["light", "dark"]) {
    for (const width of [360, 1280]) {
      onThePage(`axe finds nothing, and nothing is cut off, at ${width} pixels, ${scheme}`, async (page) => {
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Try one of the catalogue" }).click();
        await category(page).waitFor();
        await page.getByRole("button", { name: "What it looked at" }).click();
        await ranking(page, () => words(page).fill("sofa"));
        await page.locator(".card").first().getByRole("button", { name: /^Why here/ }).click();
        await page.locator(".card .title").nth(1).click();
        await page.getByRole("dialog").waitFor();
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.keyboard.press("Escape");
        assert.deepEqual(await accessibilityFaults(page), []);
        await ranking(page, () => page.getByRole("button", { name: /^More like this.*mustard cushion/ }).click());
        assert.deepEqual(await accessibilityFaults(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
      }, { width, scheme });
    }
  }
});
