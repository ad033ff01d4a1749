// Searches and predictions at a rate that rises, for k6: `docker compose --profile load run --rm k6`,
// or `k6 run tests/load/search.js` with MARKETRANK_URL.

import encoding from "k6/encoding";
import http from "k6/http";
import { check } from "k6";

const URL = __ENV.MARKETRANK_URL || "http://127.0.0.1:8080";
const PHOTOS = __ENV.PHOTOS || "/photos";
const headers = { "content-type": "application/json" };
const photos = ["bicycle", "sofa", "guitar", "laptop"].map((name) => open(`${PHOTOS}/${name}.jpg`, "b"));
const words = ["washing machine", "road bike", "oak table", "iphone", "size 9 boots", "gift for a child", "tent", "monitor"];

function rising(exec, peak) {
  return {
    executor: "ramping-arrival-rate",
    exec,
    startRate: 1,
    timeUnit: "1s",
    preAllocatedVUs: 50,
    maxVUs: 400,
    stages: [{ duration: "30s", target: peak }, { duration: "60s", target: peak }, { duration: "10s", target: 0 }],
  };
}

export const options = {
  scenarios: { text: rising("searchText", 40), photo: rising("searchPhoto", 5), predict: rising("predict", 10) },
  thresholds: {
    // Turned away is an answer; failed is not.
    "http_req_failed{expected:yes}": ["rate<0.001"],
    "http_req_duration{scenario:text}": ["p(95)<250"],
    checks: ["rate>0.99"],
  },
};

const any = (list) => list[Math.floor(Math.random() * list.length)];

function post(route, body) {
  const answer = http.post(`${URL}${route}`, JSON.stringify(body), {
    headers,
    tags: { expected: "yes" },
    responseCallback: http.expectedStatuses(200, 429),
  });
  check(answer, { "answered or turned away": ({ status }) => status === 200 || status === 429 });
}

export function searchText() {
  post("/v1/rank-products", { query: { text: any(words) }, limit: 20, facets: ["category"] });
}

export function searchPhoto() {
  post("/v1/rank-products", { query: { image: { base64: encoding.b64encode(any(photos)) } } });
}

export function predict() {
  post("/v1/predict-category", { title: any(words), description: "In good condition, collection only." });
}
