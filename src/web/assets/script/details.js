// One listing, whole, in a dialog.

import { facts, picture, price } from "./card.js";
import { byId, element, icon, unseen } from "./dom.js";

const dialog = byId("details");
dialog.addEventListener("click", (event) => {
  // The backdrop belongs to the dialog itself; what is inside it does not.
  if (event.target === dialog) dialog.close();
});

/** `place` is where the buyer is, if known; `alike` is what "More like this" does. */
export function showDetails(product, photo, { place, alike }) {
  const close = () => dialog.close();
  const subcategory = product.attributes?.subcategory;
  dialog.replaceChildren(
    element("div", { class: "details" },
      element("button", { class: "icon-button close", type: "button", onclick: close }, icon("close"), unseen("Close")),
      element("div", { class: "media" }, picture({ ...product, photo })),
      element("div", { class: "details-text" },
        element("h2", { id: "details-title" }, product.title),
        element("p", { class: "price-tag" }, price(product)),
        element("p", { class: "meta" }, facts(product, place).join(" · ")),
        product.category && element("p", { class: "meta" },
          [product.category, typeof subcategory === "string" && subcategory].filter(Boolean).join(" › "),
          product.category_predicted && " (predicted)"),
        product.description && element("p", { class: "description" }, product.description),
        element("button", { class: "primary", type: "button", onclick: () => {
          close();
          alike();
        } }, icon("like"), "More like this"))));
  dialog.showModal();
}
