// The answer to the first question: category, runners-up, review, price band, time.

import { byId, element, icon } from "./dom.js";
import { heat } from "./heat.js";
import { milliseconds, percent, roughMoney } from "./format.js";

const panel = byId("answer");
const body = byId("answer-body");
const status = byId("answer-status");

export function showNothing() {
  panel.removeAttribute("aria-busy");
  status.textContent = "";
  const ghosts = [86, 44, 27, 15, 9].map((width) => element("li", {}, element("span", { "--share": `${width}%` })));
  body.replaceChildren(
    element("div", { class: "empty" },
      element("ul", { class: "ghosts", "aria-hidden": "true" }, ghosts),
      element("p", {}, "The category, its runners-up and a price appear here.")));
}

export function showWaiting() {
  panel.setAttribute("aria-busy", "true");
}

export function showTrouble(sentence) {
  panel.removeAttribute("aria-busy");
  status.textContent = "";
  body.replaceChildren(element("p", { class: "notice bad", role: "alert" }, sentence));
}

/** `took` is the time from the question about the `photos` to its answer, as this page saw it; `findAlike` searches for such listings. */
export function showAnswer(prediction, photos, took, findAlike) {
  const { category, subcategory, confidence, needs_review: review, predictions, activation, price, model } = prediction;
  panel.removeAttribute("aria-busy");
  status.textContent = `${category}, ${percent(confidence)} sure. ${review ? "It would go to review." : ""}`;
  body.replaceChildren(...[
    element("div", { class: "verdict" },
      element("p", { class: "category" }, category),
      subcategory && element("p", { class: "subcategory" }, subcategory)),
    review
      ? element("p", { class: "badge warn" }, icon("eye"), "Would go to review")
      : element("p", { class: "badge good" }, icon("check"), "Sure enough to publish"),
    element("ol", { class: "bars", "aria-label": "Most probable categories" }, predictions.map(bar)),
    price && band(price),
    heat(activation, photos, category),
    element("div", { class: "answer-foot" },
      element("button", { type: "button", onclick: findAlike }, icon("search"), "Find listings like this"),
      element("p", { class: "hint" },
        `${model.name} model ${model.version.slice(0, 12)}, answered in `, element("b", {}, milliseconds(took)))),
  ].filter(Boolean));
}

function bar({ category, probability }) {
  return element("li", { "--share": `${(probability * 100).toFixed(2)}%` },
    element("span", { class: "bar-name" }, category),
    element("span", { class: "bar-value" }, percent(probability)),
    element("span", { class: "bar", "aria-hidden": "true" }));
}

/** The band on a logarithmic scale, since prices differ by factors: from a power of ten below it to one above. */
function band({ currency, low, median, high }) {
  const first = Math.floor(Math.log10(Math.max(low, 1)));
  const last = Math.max(Math.ceil(Math.log10(Math.max(high, 1))), first + 1);
  const place = (amount) =>
    `${Math.min(100, Math.max(0, ((Math.log10(Math.max(amount, 0.01)) - first) / (last - first)) * 100)).toFixed(2)}%`;
  const decades = Array.from({ length: last - first + 1 }, (_, step) => 10 ** (first + step));
  const amount = (value) => roughMoney(value, currency);
  return element("div", { class: "price" },
    element("p", {}, element("b", {}, `${amount(low)} to ${amount(high)}`), `, half of them under ${amount(median)}`),
    element("div", { class: "band", "aria-hidden": "true", "--low": place(low), "--median": place(median), "--high": place(high) },
      element("span", { class: "band-range" }),
      element("span", { class: "band-median" }),
      decades.map((value) => element("span", { class: "band-tick", "--at": place(value) }, amount(value)))),
    element("p", { class: "hint" }, "What eight in ten listings like it ask."));
}
