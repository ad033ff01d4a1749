// The page: two questions, each with a part of its own.

import { photoBlob, rank, readiness } from "./api.js";
import { showNothing } from "./answer.js";
import { startCategoriser } from "./categorise.js";
import { byId } from "./dom.js";
import { count } from "./format.js";
import { startKey } from "./key.js";
import { Places } from "./places.js";
import { startSearch } from "./search.js";
import { startTheme } from "./theme.js";

startTheme(byId("theme"));
startKey(() => location.reload());
showNothing();

const places = new Places(byId("places"));
const { findAlike } = startSearch(places);

/** The newest listings: their towns to search near, and one after the other as examples to categorise. */
const newest = rank({ limit: 100 }).then(({ results }) => results).catch(() => []);
newest.then((results) => places.learn(results.map(({ product }) => product)));
let turn = 0;

async function example() {
  const results = await newest;
  // Those with a photo show more of what the models do.
  const pictured = results.filter(({ photo }) => photo);
  const pool = pictured.length ? pictured : results;
  if (pool.length === 0) return null;
  const { product, photo } = pool[turn++ % pool.length];
  const photos = photo ? await fetchPhoto(photo, product.id) : [];
  return { title: product.title, description: product.description ?? "", photos };
}

async function fetchPhoto(route, name) {
  const photo = await photoBlob(route).catch(() => null);
  return photo ? [new File([photo], `${name}.jpg`, { type: "image/jpeg" })] : [];
}

startCategoriser({ findAlike, example });

readiness().then(
  ({ products, model_version: version }) => {
    byId("vitals").textContent = `Ready: ${count(products, "listing", "listings")}, models ${version.slice(0, 12)}`;
    byId("vitals").dataset.state = "ready";
  },
  (error) => {
    byId("vitals").textContent = error.message;
    byId("vitals").dataset.state = "trouble";
  });
