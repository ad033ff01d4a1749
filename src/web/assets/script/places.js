// Towns the visitor can search near: those of the listings seen so far, and where the visitor is.

import { element } from "./dom.js";

const EARTH_RADIUS_KM = 6371;

export class Places {
  #known = new Map();
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** Learns the towns of these products. */
  learn(products) {
    const before = this.#known.size;
    for (const { location } of products) {
      if (location?.name && location.lat !== undefined) {
        this.#known.set(location.name.toLowerCase(), { name: location.name, lat: location.lat, lon: location.lon });
      }
    }
    if (this.#known.size === before) return;
    const names = [...this.#known.values()].map(({ name }) => name).sort((a, b) => a.localeCompare(b));
    this.#list.replaceChildren(...names.map((name) => element("option", { value: name })));
  }

  add(place) {
    this.#known.set(place.name.toLowerCase(), place);
  }

  /** `{name, lat, lon}`, or undefined. */
  find(name) {
    return this.#known.get(name.trim().toLowerCase());
  }
}

/** Asks the browser, which asks the visitor. */
export function position() {
  return new Promise((resolve, reject) => {
    if (!navigator.geolocation) reject(new Error("This browser does not tell positions."));
    else {
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => resolve({ name: "My position", lat: coords.latitude, lon: coords.longitude }),
        () => reject(new Error("The browser did not tell the position; name a town instead.")),
        { maximumAge: 600_000, timeout: 10_000 });
    }
  });
}

/** Great-circle distance in km (haversine). */
export function distanceKm(a, b) {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const half = (degrees) => Math.sin(radians(degrees) / 2) ** 2;
  const chord = half(b.lat - a.lat) + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * half(b.lon - a.lon);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, chord)));
}
