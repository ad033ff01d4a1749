// The list of results. Listings that stay on the list slide to their new places, so that one sees what a change of the
// wishes did to the order.

import { card } from "./card.js";
import { byId } from "./dom.js";

const SLIDE = { duration: 420, easing: "cubic-bezier(.2,.7,.2,1)" };
const list = byId("results");
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/** `actions(result)` gives what a card's buttons do. */
export function showResults(results, { place, actions }) {
  const before = new Map([...list.children].map((node) => [node.dataset.id, node]));
  const places = new Map([...before].map(([id, node]) => [id, node.getBoundingClientRect()]));
  const best = Math.max(...results.map(({ score }) => score), 0);
  const cards = results.map((result, index) => {
    const made = card({ result, rank: index + 1, best, place }, actions(result));
    // The picture that is already there, or it would be fetched again and flash.
    const picture = before.get(result.id)?.querySelector("img.picture");
    if (picture && result.photo) made.querySelector(".picture").replaceWith(picture);
    return made;
  });
  list.replaceChildren(...cards);
  if (!stillness.matches) cards.forEach((node) => slide(node, places.get(node.dataset.id)));
}

/** Adds the next page below. */
export function addResults(results, { first, best, place, actions }) {
  const cards = results.map((result, index) =>
    card({ result, rank: first + index, best, place }, actions(result)));
  list.append(...cards);
  cards[0]?.querySelector(".title").focus();
}

function slide(node, from) {
  const to = node.getBoundingClientRect();
  if (to.top > innerHeight) return;
  if (!from) {
    node.animate([{ opacity: 0 }, { opacity: 1 }], { ...SLIDE, duration: 260 });
  } else if (from.left !== to.left || from.top !== to.top) {
    const move = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
    node.animate([{ transform: move }, { transform: "none" }], SLIDE);
  }
}
