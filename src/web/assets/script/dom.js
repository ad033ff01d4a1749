// Elements made in code. Text always becomes text nodes: what a listing says is never read as HTML.

export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes (`on…` are listeners, `--…` are CSS properties; null and false leave one out) and children
 * (null and false are left out too).
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** One of the drawings that index.html holds. */
export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Text that only screen readers get. */
export const unseen = (text) => element("span", { class: "visually-hidden" }, text);

/** Shows a fault in its place, or takes it away. */
export function showFault(node, sentence) {
  node.textContent = sentence ?? "";
  node.hidden = !sentence;
}
