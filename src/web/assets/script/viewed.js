// What this visitor looked at, kept for as long as the tab is open, shown, and forgotten when asked to.

import { showPhoto } from "./card.js";
import { element, icon, unseen } from "./dom.js";

const KEY = "marketrank.viewed";
const MOST = 12;

export class Viewed {
  #root;
  #products;
  #open;

  /** `open(product)` shows one of them again. */
  constructor(root, open) {
    this.#root = root;
    this.#open = open;
    this.#products = stored();
    this.#show();
  }

  /** The ids, latest last, as the API wants them. */
  get ids() {
    return this.#products.map((product) => product.id);
  }

  add({ id, title, photo }) {
    this.#set([...this.#products.filter((product) => product.id !== id), { id, title, photo }].slice(-MOST));
  }

  #set(products) {
    this.#products = products;
    try {
      sessionStorage.setItem(KEY, JSON.stringify(products));
    } catch {
      // Storage may be forbidden; then it lasts until the page is left.
    }
    this.#show();
  }

  #show() {
    this.#root.hidden = this.#products.length === 0;
    const chips = this.#products.toReversed().map((product) =>
      element("li", {},
        element("button", { type: "button", title: product.title, onclick: () => this.#open(product) },
          product.photo
            ? thumbnail(product.photo)
            : element("span", { "aria-hidden": "true" }, product.title.slice(0, 2)),
          unseen(product.title))));
    this.#root.replaceChildren(
      element("p", {}, icon("eye"), "You looked at these. The next search leans towards them."),
      element("ul", { "aria-label": "Listings you looked at, latest first" }, chips),
      element("button", { class: "quiet", type: "button", onclick: () => this.#set([]) }, "Forget them"));
  }
}

function thumbnail(route) {
  const image = element("img", { alt: "" });
  showPhoto(image, route);
  return image;
}

function stored() {
  try {
    const products = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(products) ? products.filter((product) => product?.id && product?.title) : [];
  } catch {
    return [];
  }
}
