// Categories as chips with counts; any number may be chosen.

import { byId, element } from "./dom.js";

const root = byId("facets");

/** `counts`: `[{value, count}]`; `chosen`: names; `toggle(name)` is called on a click. */
export function showFacets(counts, chosen, toggle) {
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.category : null;
  // One that was chosen stays, or it could not be given up.
  const missing = chosen.filter((name) => !counts.some(({ value }) => value === name));
  const all = [...counts, ...missing.map((value) => ({ value, count: 0 }))];
  root.replaceChildren(...all.map(({ value, count }) =>
    element("button", { class: "chip", type: "button", "data-category": value, "aria-pressed": String(chosen.includes(value)),
      onclick: () => toggle(value) }, value, element("span", {}, String(count)))));
  if (focused !== null) root.querySelector(`[data-category="${CSS.escape(focused)}"]`)?.focus();
}
