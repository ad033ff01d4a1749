// The filters beside the results: read as wishes, and announced when they change.

import { byId, showFault } from "./dom.js";
import { position } from "./places.js";
import { filtersSet } from "./wishes.js";

export class FilterForm {
  #form = byId("filter-form");
  #places;
  #changed;

  constructor(places, changed) {
    this.#places = places;
    this.#changed = changed;
    const { place } = this.#form.elements;
    this.#form.addEventListener("input", () => this.#announce());
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    // A reset event comes before the fields are reset.
    this.#form.addEventListener("reset", () => queueMicrotask(() => setTimeout(() => this.#announce())));
    place.addEventListener("change", () => this.#sayUnknownPlace());
    byId("locate").addEventListener("click", () => this.#locate());
    this.#openWhereThereIsRoom();
  }

  wishes() {
    const fields = this.#form.elements;
    const number = ({ value, valueAsNumber }) => (value === "" || valueAsNumber < 0 ? null : valueAsNumber);
    return {
      min: number(fields.min),
      max: number(fields.max),
      place: this.#places.find(fields.place.value) ?? null,
      radius: Number(fields.radius.value),
      days: Number(fields.days.value),
      not: fields.not.value.trim(),
      newer: fields.newer.checked,
      nearer: fields.nearer.checked,
      target: number(fields.target) || null,
      diversity: fields.diversity.valueAsNumber,
    };
  }

  #announce() {
    const set = filtersSet(this.wishes());
    byId("filter-count").textContent = String(set);
    byId("filter-count").hidden = set === 0;
    if (this.#places.find(this.#form.elements.place.value)) showFault(byId("place-fault"), null);
    this.#changed();
  }

  #sayUnknownPlace() {
    const name = this.#form.elements.place.value.trim();
    const unknown = name && !this.#places.find(name);
    showFault(byId("place-fault"), unknown ? `No listing seen so far is in ${name}; choose a town of the list.` : null);
  }

  async #locate() {
    try {
      const place = await position();
      this.#places.add(place);
      this.#form.elements.place.value = place.name;
      showFault(byId("place-fault"), null);
      this.#announce();
    } catch (error) {
      showFault(byId("place-fault"), error.message);
    }
  }

  /** Beside the results the filters are always open; above them, on a narrow page, they open on request. */
  #openWhereThereIsRoom() {
    const room = matchMedia("(min-width: 60rem)");
    const fit = () => {
      byId("filters").open = room.matches;
    };
    room.addEventListener("change", fit);
    fit();
  }
}
