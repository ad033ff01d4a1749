// The first question: a form on the left, the answer on the right, asked anew as the listing changes.

import { predict } from "./api.js";
import { showAnswer, showNothing, showTrouble, showWaiting } from "./answer.js";
import { byId } from "./dom.js";
import { megabytes } from "./format.js";
import { Latest } from "./latest.js";
import { LIMITS, PhotoField, onPastedPhotos } from "./photos.js";

const TYPING_PAUSE_MS = 350;

/** `findAlike({text, photo})` searches for listings like this one; `example()` gives one to try. */
export function startCategoriser({ findAlike, example }) {
  const form = byId("listing");
  const { title, description } = form.elements;
  const root = byId("listing-photos");
  const latest = new Latest();
  const photos = new PhotoField(root, {
    limit: LIMITS.count,
    fault: root.querySelector(".fault"),
    changed: () => ask(),
  });
  root.querySelector("[data-hint]").textContent =
    `Up to ${LIMITS.count}; JPEG, PNG or WebP, ${megabytes(LIMITS.bytes)} each.`;
  onPastedPhotos((files) => photos.add(files));

  const listing = () => ({ title: title.value.trim(), description: description.value.trim(), photos: photos.files });

  async function ask(delay = 0) {
    const asked = listing();
    if (!asked.title && !asked.description && asked.photos.length === 0) {
      latest.cancel();
      showNothing();
      return;
    }
    await latest.run(async (signal) => {
      showWaiting();
      const started = performance.now();
      try {
        const prediction = await predict(asked, signal);
        const text = asked.title || asked.description.slice(0, 200);
        const alike = () => findAlike({ text, photo: asked.photos[0] ?? null });
        showAnswer(prediction, asked.photos, performance.now() - started, alike);
      } catch (error) {
        if (!signal.aborted) showTrouble(error.message);
      }
    }, delay);
  }

  for (const field of [title, description]) field.addEventListener("input", () => ask(TYPING_PAUSE_MS));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    title.value = description.value = "";
    photos.replace([]);
    title.focus();
  });
  byId("example").addEventListener("click", async () => {
    const chosen = await example();
    if (!chosen) return;
    title.value = chosen.title;
    description.value = chosen.description;
    photos.replace(chosen.photos);
  });
}
