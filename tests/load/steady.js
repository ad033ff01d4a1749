// A steady rate of RATE requests a second for DURATION (10 minutes): the p99 must stay under P99_MS. KIND=photo|text

import { categorisePhoto, categoriseText, openPhotos, served } from "./lib.js";

const photos = openPhotos();

export const options = {
  scenarios: {
    steady: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 30),
      timeUnit: "1s",
      duration: __ENV.DURATION || "10m",
      preAllocatedVUs: 50,
      maxVUs: 400,
    },
  },
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate<0.001"],
    http_req_duration: [`p(99)<${__ENV.P99_MS || 500}`],
  },
  summaryTrendStats: ["med", "p(95)", "p(99)"],
};

export default function () {
  served(__ENV.KIND === "photo" ? categorisePhoto(photos) : categoriseText());
}
