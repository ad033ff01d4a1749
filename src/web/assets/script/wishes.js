// From what the visitor wishes to the body of a ranking request: plain values in, plain values out.

const PAGE = 24;
/** Days after which being new counts half, and kilometres after which being near does. */
const RECENCY_HALF_LIFE_DAYS = 14;
const DISTANCE_HALF_LIFE_KM = 40;

/**
 * `wishes`: `{text, photo, like, balance, categories, min, max, place, radius, days, not, newer, nearer, target,
 * diversity}`; `photo` is a photo as the API takes it, `like` a product, `balance` 0 (words) to 100 (picture).
 */
export function rankRequest(wishes, { viewed = [], offset = 0, now = Date.now() } = {}) {
  return {
    query: queryOf(wishes),
    filter: filterOf(wishes, now),
    boost: boostOf(wishes),
    user: { viewed },
    diversity: wishes.diversity,
    limit: PAGE,
    offset,
    facets: ["category"],
    explain: true,
  };
}

/** Counts the categories as if none were chosen: what a click on another chip would find. */
export function facetRequest(wishes, now = Date.now()) {
  return { filter: filterOf({ ...wishes, categories: [] }, now), facets: ["category"], limit: 1 };
}

/** How many of words, photo and product the query has; with two or more the balance between them matters. */
export function partsOf({ text, photo, like }) {
  return [text, photo, like].filter(Boolean).length;
}

/** How many filters are set, categories aside: they show themselves. */
export function filtersSet(wishes) {
  const { min, max, place, days, not, newer, nearer, target, diversity } = wishes;
  return [min !== null || max !== null, place, days, not, newer, nearer && place, target !== null, diversity > 0]
    .filter(Boolean).length;
}

function queryOf(wishes) {
  const { text, photo, like, balance, not } = wishes;
  const query = {};
  if (text) query.text = text;
  if (photo) query.image = photo;
  if (like) query.product_id = like.id;
  const parts = partsOf(wishes);
  if (parts > 1) {
    const picture = balance / 50;
    query.weights = text ? { text: 2 - picture, image: picture, product: picture } : { text: 1, image: 1, product: 1 };
  }
  // Something to be unlike needs something to be like.
  if (not && parts > 0) query.not = { text: not };
  return query;
}

function filterOf({ categories, min, max, place, radius, days }, now) {
  const filter = {};
  if (categories.length) filter.category = categories;
  if (min !== null || max !== null) {
    filter.price = {};
    if (min !== null) filter.price.min = min;
    if (max !== null) filter.price.max = max;
  }
  if (place) {
    filter.near = { lat: place.lat, lon: place.lon };
    if (radius) filter.near.radius_km = radius;
  }
  if (days) filter.listed_after = new Date(now - days * 86_400_000).toISOString();
  return filter;
}

function boostOf({ newer, nearer, place, target }) {
  const boost = {};
  if (newer) boost.recency_half_life_days = RECENCY_HALF_LIFE_DAYS;
  if (nearer && place) boost.distance_half_life_km = DISTANCE_HALF_LIFE_KM;
  if (target !== null) boost.price_target = target;
  return boost;
}
