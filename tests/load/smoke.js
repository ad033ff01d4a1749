// Every kind of request, a few at a time, for ten seconds: nothing may fail. `k6 run tests/load/smoke.js`

import encoding from "k6/encoding";
import { categorisePhoto, categoriseText, get, listing, openPhotos, post, served } from "./lib.js";

const photos = openPhotos();

export const options = {
  scenarios: { smoke: { executor: "constant-vus", vus: 2, duration: __ENV.DURATION || "10s" } },
  thresholds: { checks: ["rate==1"], http_req_failed: ["rate==0"] },
  summaryTrendStats: ["med", "p(95)", "p(99)"],
};

export default function () {
  served(categoriseText());
  served(categorisePhoto(photos));
  served(post("/v1/predict-category/batch", { items: [listing(), listing()] }));
  served(post("/v1/rank-products", { query: { text: listing().title }, limit: 5, facets: ["category"], explain: true }));
  served(post("/v1/rank-products", { query: { image: { base64: encoding.b64encode(photos[0].data) } }, diversity: 0.3 }));
  served(get("/health/ready"));
  served(get("/v1/products?limit=5"));
}
