// A listing among the results, and its picture.

import { photoAddress } from "./api.js";
import { element, unseen } from "./dom.js";
import { age, kilometres, money } from "./format.js";
import { distanceKm } from "./places.js";
import { why } from "./why.js";

/** The photo, or the first words of the title as a poster where there is none. */
export function picture({ title, category, photo }) {
  if (photo) {
    const image = element("img", { class: "picture", alt: "", loading: "lazy", width: 320, height: 240 });
    showPhoto(image, photo);
    return image;
  }
  const words = title.split(/\s+/).slice(0, 3).join(" ").replace(/[^\p{L}\p{N})"”]+$/u, "");
  return element("div", { class: "picture poster", "aria-hidden": "true", "--hue": String(hue(category ?? title)) },
    element("span", {}, words));
}

/**
 * `{result, rank, best, place}`: the API's result, its place in the list, the list's highest score, and where the buyer is,
 * if known. `open` and `alike` are what the buttons do.
 */
export function card({ result, rank, best, place }, { open, alike }) {
  const { product } = result;
  const reasons = why(result, best);
  reasons.id = `why-${product.id}`;
  reasons.hidden = true;
  const asksWhy = element("button", { class: "link", type: "button", "aria-expanded": "false", "aria-controls": reasons.id,
    onclick: () => {
      reasons.hidden = !reasons.hidden;
      asksWhy.setAttribute("aria-expanded", String(!reasons.hidden));
    } }, "Why here", unseen(`: ${product.title}`));
  return element("li", { class: "card", "data-id": product.id },
    element("div", { class: "media" },
      picture({ ...product, photo: result.photo }),
      element("span", { class: "rank" }, unseen("Place "), String(rank))),
    element("div", { class: "card-text" },
      element("h3", {}, element("button", { class: "title", type: "button", onclick: open }, product.title)),
      element("p", { class: "price-tag" }, price(product)),
      element("p", { class: "meta" }, facts(product, place).join(" · ")),
      product.category && element("p", { class: "meta" }, product.category, product.category_predicted && " (predicted)"),
      element("div", { class: "card-buttons" },
        asksWhy,
        element("button", { class: "link", type: "button", onclick: alike }, "More like this", unseen(`: ${product.title}`)))),
    reasons);
}

/** Shows a photo of the catalogue; one that is gone stays blank. */
export function showPhoto(image, route) {
  photoAddress(route).then((address) => image.setAttribute("src", address), () => {});
}

export function price({ price: amount, currency }) {
  if (amount === undefined) return "No price";
  return amount === 0 ? "Free" : money(amount, currency);
}

/** Town, distance and age, as far as they are known. */
export function facts({ location, listed_at: listed }, place) {
  const located = place && location?.lat !== undefined;
  return [location?.name, located && kilometres(distanceKm(place, location)), listed && age(listed)].filter(Boolean);
}

/** A colour for each category, the same on every visit. */
function hue(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  // Steps of the golden angle lie far apart on the circle of hues.
  return Math.round((sum * 137.508) % 360);
}
