// As many requests as a number of connections can carry, for `make bench`: KIND=photo|text, VUS, DURATION.

import { categorisePhoto, categoriseText, openPhotos, served } from "./lib.js";

const photos = openPhotos();

export const options = {
  scenarios: {
    full: { executor: "constant-vus", vus: Number(__ENV.VUS || 16), duration: __ENV.DURATION || "10s", gracefulStop: "5s" },
  },
  thresholds: { checks: ["rate==1"] },
  summaryTrendStats: ["med", "p(95)", "p(99)"],
};

export default function () {
  served(__ENV.KIND === "photo" ? categorisePhoto(photos) : categoriseText());
}
