// A steady mix of everything a shop asks for, every answer compared with the right one. `make soak` runs it beside faults.
// Each request is tagged with the window of time it lies in, so that late ones can be compared with early ones.

import encoding from "k6/encoding";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Rate } from "k6/metrics";
import { URL, openPhotos } from "./lib.js";

const WINDOW_SECONDS = Number(__ENV.WINDOW_SECONDS || 90);
const WINDOWS = Number(__ENV.WINDOWS || 20);
/** Ids that are written over and over: the catalogue's size settles. */
const IDS = 2000;

const right = new Rate("right_answers");
const turnedAway = new Counter("turned_away");

const photo = openPhotos().find(({ filename }) => filename === "sofa.jpg");

const windows = Array.from({ length: WINDOWS }, (_, window) => window);
export const options = {
  scenarios: {
    shop: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 20),
      timeUnit: "1s",
      duration: `${WINDOWS * WINDOW_SECONDS}s`,
      preAllocatedVUs: 50,
      maxVUs: 400,
    },
  },
  thresholds: {
    right_answers: ["rate==1"],
    dropped_iterations: ["count==0"],
    // Without a threshold k6 does not report a window of its own.
    ...Object.fromEntries(windows.map((window) => [`http_req_duration{window:${window}}`, ["p(99)<5000"]])),
  },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

/** Requests that change nothing, so that the first answer is right for ever. */
const asked = {
  text: () => send("POST", "/v1/predict-category", { title: "Nike football boots size 8" }),
  photo: () => http.post(`${URL}/v1/predict-category`, { image: photo }, inWindow()),
  both: () => {
    const images = [{ base64: encoding.b64encode(photo.data) }];
    return send("POST", "/v1/predict-category", { title: "Three seater sofa", description: "Grey", images });
  },
  inline: () => {
    const candidates = [["a", "Garden shed"], ["b", "Racing bicycle, 56 cm"], ["c", "Piano"]];
    const products = candidates.map(([id, title]) => ({ id, title }));
    return send("POST", "/v1/rank-products", { query: { text: "road bike" }, candidates: products });
  },
};

export function setup() {
  const expected = Object.fromEntries(Object.entries(asked).map(([name, ask]) => [name, meaning(ask().json())]));
  return { expected, started: Date.now() };
}

/** When the load began, once it has. */
let started;

function inWindow() {
  const window = Math.min(Math.floor((Date.now() - started) / 1000 / WINDOW_SECONDS), WINDOWS - 1);
  return { tags: { window: started ? String(window) : "setup" } };
}

function send(method, route, body) {
  const headers = { "content-type": "application/json" };
  return http.request(method, `${URL}${route}`, body && JSON.stringify(body), { headers, ...inWindow() });
}

/** What an answer says, without what may differ: how long it took, and in another batch a probability's last digits. */
function meaning(answer) {
  if (answer.results) return answer.results.map(({ id }) => id);
  return [answer.category, answer.subcategory, answer.confidence];
}

const same = (found, expected) =>
  found.length === expected.length &&
  found.every((value, at) => (typeof value === "number" ? Math.abs(value - expected[at]) < 5e-3 : value === expected[at]));

/** Counts whether the answer is right; a request that was turned away got none. */
function judge(response, isRight) {
  if (response.status === 429) {
    turnedAway.add(1);
    return false;
  }
  const passed = isRight(response);
  right.add(passed);
  if (!passed) console.error(`wrong: ${response.request.method} ${response.request.url} ${response.status} ${String(response.body).slice(0, 400)}`);
  return passed;
}

/** A product is written, read, found by the one word only it has, and now and then taken out again. */
function keep(number) {
  const id = `soak-${number % IDS}`;
  const word = `serial${number}`;
  const product = { title: `Oak table ${word}`, description: "Seats six.", price: 10 + (number % 90) };
  const written = send("PUT", `/v1/products/${id}`, product);
  if (!judge(written, ({ status }) => status === 200 || status === 201)) return;
  judge(send("GET", `/v1/products/${id}`), (found) => found.status === 200 && found.json("title") === product.title);
  judge(
    send("POST", "/v1/rank-products", { query: { text: word }, limit: 10 }),
    (found) => found.status === 200 && found.json("results").some((result) => result.id === id),
  );
  if (number % 50 !== 8) return;
  judge(send("DELETE", `/v1/products/${id}`), ({ status }) => status === 204);
  judge(send("GET", `/v1/products/${id}`), ({ status }) => status === 404);
}

const MIX = ["text", "text", "text", "photo", "text", "photo", "both", "inline", "keep", "keep"];

export default function (data) {
  started = data.started;
  const number = exec.scenario.iterationInTest;
  const turn = MIX[number % MIX.length];
  if (turn === "keep") return keep(number);
  judge(asked[turn](), (found) => found.status === 200 && same(meaning(found.json()), data.expected[turn]));
}
