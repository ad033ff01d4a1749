// A field for photos: choose, take, drop or paste them, see them, take them back.

import { element, icon, showFault, unseen } from "./dom.js";
import { megabytes } from "./format.js";

const TYPES = ["image/jpeg", "image/png", "image/webp"];
const { maxPhotoBytes, maxPhotos } = document.documentElement.dataset;

/** What the server takes; it checks for itself, but a photo that is too large need not travel first. */
export const LIMITS = { bytes: Number(maxPhotoBytes), count: Number(maxPhotos) };

export class PhotoField {
  #files = [];
  #addresses = [];
  #list;
  #fault;
  #limit;
  #changed;

  /** `limit` photos at most; with one, a new photo takes the old one's place. `changed` is called after each change. */
  constructor(root, { limit, fault, changed }) {
    this.#list = root.querySelector(".previews");
    this.#fault = fault;
    this.#limit = limit;
    this.#changed = changed;
    for (const input of root.querySelectorAll("input[type=file]")) {
      input.addEventListener("change", () => {
        this.add([...input.files]);
        input.value = "";
      });
    }
    root.addEventListener("dragover", (event) => {
      event.preventDefault();
      root.classList.add("over");
    });
    root.addEventListener("dragleave", (event) => {
      if (!root.contains(event.relatedTarget)) root.classList.remove("over");
    });
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("over");
      this.add([...event.dataTransfer.files]);
    });
    this.#show();
  }

  get files() {
    return [...this.#files];
  }

  /** Takes what can be taken and says what cannot. */
  add(files) {
    const faults = files.map(refusal).filter(Boolean);
    const usable = files.filter((file) => !refusal(file));
    const all = this.#limit === 1 && usable.length ? usable.slice(0, 1) : [...this.#files, ...usable];
    if (all.length > this.#limit) {
      faults.push(`At most ${this.#limit} photos are taken; the first ${this.#limit} stay.`);
    }
    if (usable.length) this.replace(all.slice(0, this.#limit));
    showFault(this.#fault, faults.join(" "));
  }

  replace(files) {
    this.#files = files;
    showFault(this.#fault, null);
    this.#show();
    this.#changed();
  }

  #remove(index) {
    this.replace(this.#files.filter((_, place) => place !== index));
    const rest = this.#list.querySelectorAll("button");
    rest[Math.min(index, rest.length - 1)]?.focus();
  }

  #show() {
    this.#addresses.forEach((address) => URL.revokeObjectURL(address));
    this.#addresses = this.#files.map((file) => URL.createObjectURL(file));
    const previews = this.#files.map((file, index) =>
      element("li", {},
        element("img", { src: this.#addresses[index], alt: file.name }),
        element("button", { type: "button", onclick: () => this.#remove(index) },
          icon("close"), unseen(`Remove ${file.name}`))));
    this.#list.replaceChildren(...previews);
    this.#list.hidden = previews.length === 0;
  }
}

/** Photos on the clipboard, pasted anywhere outside a text. */
export function onPastedPhotos(receive) {
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter((file) => TYPES.includes(file.type));
    if (files.length) receive(files);
  });
}

function refusal(file) {
  if (!TYPES.includes(file.type)) return `${file.name} is no JPEG, PNG or WebP photo.`;
  if (file.size > LIMITS.bytes) {
    return `${file.name} has ${megabytes(file.size)}; a photo may have up to ${megabytes(LIMITS.bytes)}.`;
  }
  return null;
}
