// Why a listing stands where it does: the parts of its score.

import { element } from "./dom.js";

const NAMES = {
  semantic: "Meaning",
  lexical: "Words",
  kind: "Kind of thing",
  taste: "Like what you viewed",
  recency: "New",
  distance: "Near",
  price: "Near your price",
  not: "What to leave out",
};

/** `best` is the highest score of the list: bars are drawn in proportion to it. */
export function why({ score, explanation }, best) {
  if (!explanation?.length) {
    return element("div", { class: "why" }, element("p", { class: "hint" }, "Nothing was searched for: the newest come first."));
  }
  const scale = Math.max(best, score, 0.01);
  const share = (points) => `${((Math.abs(points) / scale) * 100).toFixed(2)}%`;
  return element("div", { class: "why" },
    element("div", { class: "stack", "aria-hidden": "true" },
      explanation.filter(({ contribution }) => contribution > 0).map(({ signal, contribution }) =>
        element("span", { "data-signal": signal, "--share": share(contribution) }))),
    element("dl", {}, explanation.map(({ signal, value, weight, contribution }) =>
      element("div", { "data-signal": signal },
        element("dt", {}, NAMES[signal] ?? signal),
        element("dd", {},
          element("b", {}, contribution.toFixed(3)),
          element("small", {}, `${value.toFixed(2)} × ${weight.toFixed(2)}`))))),
    element("p", { class: "sum" }, "Score ", element("b", {}, score.toFixed(3))));
}
