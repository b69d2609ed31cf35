// How expressions are made: what of the table of metrics compiles, and what comes out of it.
import { describe, expect, test } from "vitest";
import {
  HELD_BACK,
  across,
  agreed,
  agreedBuckets,
  agreedIncrease,
  agreedRate,
  agreedRise,
  ofProcesses,
  quantileOf,
  select,
  summedBuckets,
  summedRate,
} from "../../../dashboards/queries.ts";

describe("expressions", () => {
  test.each([
    [agreed("ota_redis_up"), "max(ota_redis_up)"],
    [
      agreed("ota_running_devices", {
        by: ["app", "version"],
        where: { app: '=~"$app"', version: ['=~"$baseline"', '!="other"'] },
      }),
      'max by (app, version) (ota_running_devices{app=~"$app",version=~"$baseline",version!="other"})',
    ],
    [agreedRate("ota_folded_reports_total"), "max(rate(ota_folded_reports_total[$__rate_interval]))"],
    [
      agreedIncrease("ota_rollback_decisions_total", { by: ["action"], over: "dashboard" }),
      "max by (action) (increase(ota_rollback_decisions_total[$__range]))",
    ],
    [
      agreedRise("ota_rollbacks_total", { by: ["outcome"] }),
      "max by (outcome) (ota_rollbacks_total) - min by (outcome) (min_over_time(ota_rollbacks_total[$__range]))",
    ],
    [
      summedRate("ota_polls_total", { by: ["result"] }),
      "sum by (result) (rate(ota_polls_total[$__rate_interval]))",
    ],
    [across("max", "ota_ingest_stream_entries_max"), "max(ota_ingest_stream_entries_max)"],
    [
      quantileOf(0.5, agreedBuckets("ota_rollback_duration_seconds")),
      "histogram_quantile(0.5, max by (le) (increase(ota_rollback_duration_seconds_bucket[$__range]))) >= 0",
    ],
    [
      summedBuckets("http_server_request_duration_seconds", {
        by: ["route"],
        where: { status_class: '="2xx"' },
      }),
      'sum by (le, route) (rate(http_server_request_duration_seconds_bucket{status_class="2xx"}[$__rate_interval]))',
    ],
    [
      ofProcesses("process_cpu_seconds_total"),
      "rate(process_cpu_seconds_total[$__rate_interval]) * on (instance, job) group_left (process) ota_build_info",
    ],
    [
      HELD_BACK,
      'sum(max by (reason) (ota_rollbacks_held{reason!="channel_moved_on"})) or (max(ota_redis_up) == 1) - 1',
    ],
  ])("%s", (made, expected) => {
    expect(made).toBe(expected);
  });
});

test("what does not fit the table of metrics does not compile", () => {
  const refused = [
    // @ts-expect-error No such metric.
    select("ota_gone"),
    // @ts-expect-error It has no such label.
    agreed("ota_running_devices", { by: ["signal"] }),
    // @ts-expect-error Nor in a matcher.
    agreed("ota_running_devices", { where: { signal: '="crash"' } }),
    // @ts-expect-error A matcher needs its operator and quotes.
    agreed("ota_running_devices", { where: { app: "till" } }),
    // @ts-expect-error A counter as it stands.
    agreed("ota_folded_reports_total"),
    // @ts-expect-error A rate of a gauge.
    agreedRate("ota_running_devices"),
    // @ts-expect-error A sum of what agents read from Redis.
    summedRate("ota_folded_reports_total"),
    // @ts-expect-error The maximum of what each ingest counts.
    agreedRate("ota_ingest_reports_total"),
  ];
  expect(new Set(refused).size).toBe(refused.length);
});
