// What the model looked at: a heat layer over each photo of the answer, shown on request.

import { element, icon } from "./dom.js";

/** Heat that is hardly seen, out of 1. */
const FAINT = 0.1;

/** Whether the layers are shown; as it was left, from one answer to the next. */
let shown = false;
let addresses = [];

/** A toggle and the photos under their heat; null where the answer has no maps. Of one answer at a time. */
export function heat(maps, photos, category) {
  addresses.forEach((address) => URL.revokeObjectURL(address));
  addresses = maps ? photos.map((photo) => URL.createObjectURL(photo)) : [];
  if (!maps) return null;
  const layers = element("div", { class: "heat", id: "heat", hidden: !shown },
    element("ul", {}, maps.map((map, index) =>
      element("li", {}, element("img", { src: addresses[index], alt: `Photo ${index + 1}: ${finding(map)}` }), layer(map)))),
    element("p", { class: "hint" }, maps.every(isFaint)
      ? `Hardly any of the photo${maps.length > 1 ? "s" : ""} speaks for ${category}.`
      : `The warmer a place, the more it speaks for ${category}.`));
  const toggle = element("button", { type: "button", "aria-expanded": String(shown), "aria-controls": layers.id,
    onclick: () => {
      shown = !shown;
      layers.hidden = !shown;
      toggle.setAttribute("aria-expanded", String(shown));
    } }, icon("eye"), "What it looked at");
  return element("div", { class: "looked-at" }, toggle, layers);
}

/** One pixel for each cell, the more opaque the hotter; the style sheet stretches it, which makes it smooth. */
function layer({ height, width, values }) {
  const canvas = element("canvas", { width, height, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  values.forEach((value, cell) => {
    image.data.set([255, 64, 0, Math.round(value * 255)], cell * 4);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

function isFaint({ values }) {
  return Math.max(...values) < FAINT;
}

/** The heat in words: whether there is any, and where its middle lies. */
function finding(map) {
  if (isFaint(map)) return "hardly anything in it counts";
  const { height, width, values } = map;
  const sum = values.reduce((total, value) => total + value, 0);
  const middle = (place, size) => values.reduce((total, value, cell) => total + value * (place(cell) + 0.5), 0) / sum / size;
  const side = (share, before, after) => (share < 0.4 ? before : share > 0.6 ? after : "");
  const down = side(middle((cell) => Math.floor(cell / width), height), "top", "bottom");
  const across = side(middle((cell) => cell % width, width), "left", "right");
  const words = [down, across].filter(Boolean).join(" ");
  return `what counts lies ${words ? `at the ${words}` : "in the middle"}`;
}
