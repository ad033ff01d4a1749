// The server's routes. What goes wrong becomes a `Refusal`: one sentence for people.

import { askForKey, authorization } from "./key.js";

/** Photos that were fetched with a key: their object URLs by their routes. */
const fetched = new Map();

/** The message is a sentence that can be shown. */
export class Refusal extends Error {}

/** Category, price band and review of a listing and, where it has photos, what was looked at. */
export function predict({ title, description, photos }, signal) {
  const form = new FormData();
  if (title) form.append("title", title);
  if (description) form.append("description", description);
  for (const photo of photos) form.append("image", photo, photo.name);
  if (photos.length) form.append("activation", "true");
  return ask("/v1/predict-category", { method: "POST", body: form, signal });
}

/** Listings, best first. */
export function rank(body, signal) {
  const headers = { "content-type": "application/json" };
  return ask("/v1/rank-products", { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** One listing of the catalogue. */
export function product(id) {
  return ask(`/v1/products/${encodeURIComponent(id)}`, {});
}

export function readiness() {
  return ask("/health/ready", {});
}

const sources = new WeakMap();

/** A file as the API takes it inside JSON; worked out once, though a search is asked anew with every letter. */
export function photoSource(file) {
  if (!sources.has(file)) sources.set(file, encode(file));
  return sources.get(file);
}

async function encode(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  // In pieces: an argument list has an end.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return { base64: btoa(text) };
}

/**
 * Where an image element finds this photo of the catalogue: at its route, or, since an image element sends no key, in an
 * object URL of what was fetched with one.
 */
export function photoAddress(route) {
  if (!authorization().authorization) return Promise.resolve(route);
  if (!fetched.has(route)) fetched.set(route, photoBlob(route).then((photo) => URL.createObjectURL(photo)));
  return fetched.get(route);
}

/** The photo itself. */
export async function photoBlob(route) {
  return (await send(route, {})).blob();
}

async function ask(route, options) {
  return (await send(route, options)).json();
}

async function send(route, options) {
  let answer;
  try {
    answer = await fetch(route, { ...options, headers: { ...options.headers, ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const refusal = sentence(answer, await answer.json().catch(() => ({})));
  if (answer.status === 401 && (await askForKey(refusal))) return send(route, options);
  throw new Refusal(refusal);
}

function sentence(answer, problem) {
  const detail = problem.detail ?? `The server answered ${answer.status} ${answer.statusText}.`;
  const text = problem.field ? `${fieldName(problem.field)}: ${detail}` : detail;
  const wait = answer.headers.get("retry-after");
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text[0].toUpperCase() + text.slice(1) + end + (wait ? ` Try again in ${wait} s.` : "");
}

/** `images[0]` is the first photo to whoever chose it. */
function fieldName(field) {
  const photo = /^images\[(\d+)\]$/.exec(field);
  if (photo) return `photo ${Number(photo[1]) + 1}`;
  return { "query.image": "the photo", "query.text": "the words", "query.not.text": "what to leave out" }[field] ?? field;
}
