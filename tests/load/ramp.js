// A rate that rises to PEAK requests a second, past what the server can give: what is served stays fast, the rest is
// turned away with 429, nothing fails. KIND=photo|text
//
// served_ms is all that was served, held_ms what was served while the rate stayed at its peak. RISE is in seconds (60s).

import exec from "k6/execution";
import { Counter, Trend } from "k6/metrics";
import { categorisePhoto, categoriseText, openPhotos } from "./lib.js";

const photos = openPhotos();
const served = new Trend("served_ms", true);
// A server that turns everything away would pass by the times alone.
const answered = new Counter("served");
const held = new Trend("held_ms", true);
const rise = Number.parseInt(__ENV.RISE || "60s");
const peak = Number(__ENV.PEAK || 400);

export const options = {
  scenarios: {
    ramp: {
      executor: "ramping-arrival-rate",
      startRate: 1,
      timeUnit: "1s",
      preAllocatedVUs: 100,
      maxVUs: 1000,
      stages: [
        { duration: `${rise}s`, target: peak },
        { duration: __ENV.HOLD || "20s", target: peak },
      ],
    },
  },
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate<0.001"],
    served: [`count>${rise}`],
    served_ms: [`p(99)<${__ENV.P99_MS || 1000}`],
  },
  summaryTrendStats: ["med", "p(95)", "p(99)"],
};

export default function () {
  const response = __ENV.KIND === "photo" ? categorisePhoto(photos) : categoriseText();
  if (response.status !== 200) return;
  answered.add(1);
  served.add(response.timings.duration);
  if (Date.now() - exec.scenario.startTime > rise * 1000) held.add(response.timings.duration);
}
