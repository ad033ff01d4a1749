// What the load scripts have in common: where the server is, what is asked of it, and what counts as an answer.

import http from "k6/http";
import { check } from "k6";
import exec from "k6/execution";

export const URL = __ENV.MARKETRANK_URL || "http://127.0.0.1:8080";
const FOLDER = __ENV.PHOTOS || "/photos";
const NAMES = (__ENV.PHOTO_NAMES || "bicycle,sofa,guitar,laptop").split(",");
// Another service may serve the same under another name.
const TEXT_ROUTE = __ENV.TEXT_ROUTE || "/v1/predict-category";
const PHOTO_ROUTE = __ENV.PHOTO_ROUTE || "/v1/predict-category";
// Turned away is an answer where more is asked than the server can give; failed is not.
const turnedAwayIsFine = http.expectedStatuses(200, 429);

/** The photos, read once for each virtual user. Only in a script's init code. */
export const openPhotos = () => NAMES.map((name) => http.file(open(`${FOLDER}/${name}.jpg`, "b"), `${name}.jpg`));

const kept = ["used twice", "in good condition", "from a smoke free home", "a little scratched", "as new, boxed"];
const things = ["road bike", "oak table", "washing machine", "iphone 13", "size 9 boots", "two man tent", "electric guitar", "pram"];

/** A listing that nobody asked for before, of one to forty words more. */
export function listing() {
  const number = exec.scenario.iterationInTest;
  const thing = things[number % things.length];
  const words = Array.from({ length: 1 + ((number * 7) % 8) }, (_, at) => kept[(number + at) % kept.length]);
  return { title: `${thing} ${number}`, description: `${words.join(", ")}. Collection only.` };
}

function answered(response) {
  check(response, { "answered or turned away": ({ status }) => status === 200 || status === 429 });
  return response;
}

/** For loads that the server can carry: an answer that is no answer must not count as one. */
export const served = (response) => check(response, { "served": ({ status }) => status === 200 });

export const post = (route, body) =>
  answered(
    http.post(`${URL}${route}`, JSON.stringify(body), {
      headers: { "content-type": "application/json" },
      responseCallback: turnedAwayIsFine,
      tags: { route },
    }),
  );

export const categoriseText = () => post(TEXT_ROUTE, listing());

export const categorisePhoto = (photos) =>
  answered(
    http.post(
      `${URL}${PHOTO_ROUTE}`,
      { image: photos[exec.scenario.iterationInTest % photos.length] },
      { responseCallback: turnedAwayIsFine, tags: { route: PHOTO_ROUTE } },
    ),
  );

export const get = (route) => answered(http.get(`${URL}${route}`, { tags: { route } }));
