// The server's routes. What goes wrong becomes a `Refusal`: one sentence for people.

/** The message is a sentence that can be shown. */
export class Refusal extends Error {}

/** Category, price band and review of a listing. */
export function predict({ title, description, photos }, signal) {
  const form = new FormData();
  if (title) form.append("title", title);
  if (description) form.append("description", description);
  for (const photo of photos) form.append("image", photo, photo.name);
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

/** A file as the API takes it inside JSON. */
export async function photoSource(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  // In pieces: an argument list has an end.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return { base64: btoa(text) };
}

async function ask(route, options) {
  let answer;
  try {
    answer = await fetch(route, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. Is it still running?");
  }
  if (!answer.ok) throw new Refusal(sentence(answer, await answer.json().catch(() => ({}))));
  return answer.json();
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
