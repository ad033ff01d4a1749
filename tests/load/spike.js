// Quiet, then ten times as much at once, then quiet again: the quiet after the spike is as fast as the one before.

import { Trend } from "k6/metrics";
import { categoriseText, served } from "./lib.js";

const rate = Number(__ENV.RATE || 10);
const after = new Trend("after_spike_ms", true);

const phase = (exec, times, startTime, duration) => ({
  executor: "constant-arrival-rate",
  exec,
  rate: rate * times,
  timeUnit: "1s",
  startTime,
  duration,
  preAllocatedVUs: 20 * times,
  maxVUs: 100 * times,
});

export const options = {
  scenarios: {
    before: phase("quiet", 1, "0s", "20s"),
    spike: phase("quiet", 10, "20s", "10s"),
    after: phase("recovered", 1, "32s", "20s"),
  },
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate<0.001"],
    after_spike_ms: [`p(99)<${__ENV.P99_MS || 300}`],
  },
};

export const quiet = () => categoriseText();

export function recovered() {
  const response = categoriseText();
  if (served(response)) after.add(response.timings.duration);
}
