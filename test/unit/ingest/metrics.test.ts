// Every label set is there at zero before anything happens, and the limits can be read off.
import { expect, test } from "vitest";
import type { AppId } from "../../../ingest/contract/release-key.ts";
import {
  DEVICE_AUTH_RESULTS,
  REPORT_RESULTS,
  SOURCE_RESULTS,
  STATUS_CLASSES,
  createIngestMetrics,
} from "../../../ingest/metrics.ts";
import { PROBLEM_CODES } from "../../../ingest/problems.ts";
import { createRegistry } from "../../../runtime/metrics.ts";

const limits = {
  listen: { host: "127.0.0.1", port: 0 },
  operationsListen: { host: "127.0.0.1", port: 0 },
  bodyBytesMax: 1_024,
  streamEntriesMax: 7,
};

test("a fresh process exports zeros and limits", async () => {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  createIngestMetrics(registry, limits);
  const lines = (await registry.metrics()).split("\n");
  const expected = [
    ...REPORT_RESULTS.map((result) => `ota_ingest_reports_total{result="${result}"} 0`),
    ...PROBLEM_CODES.map((code) => `ota_ingest_requests_refused_total{code="${code}"} 0`),
    'ota_ingest_clock_skew_total{direction="past"} 0',
    'ota_ingest_clock_skew_total{direction="future"} 0',
    ...STATUS_CLASSES.map(
      (status) =>
        `http_server_request_duration_seconds_count{route="/v1/reports",method="POST",status_class="${status}"} 0`,
    ),
    "ota_ingest_requests_in_flight 0",
    "ota_ingest_stream_entries_max 7",
    "ota_ingest_body_bytes_max 1024",
    "ota_ingest_reports_per_request_max 10000",
  ];
  expect(expected.filter((line) => !lines.includes(line))).toEqual([]);
});

test("apps whose devices prove who they are have series of that, and only those", async () => {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  createIngestMetrics(registry, limits, { deviceAuthApps: ["com.acme.till" as AppId] });
  const series = (await registry.metrics())
    .split("\n")
    .filter((line) => line.startsWith("ota_ingest_device_auth_total{"));
  expect(series).toEqual(
    DEVICE_AUTH_RESULTS.map(
      (result) => `ota_ingest_device_auth_total{app="com.acme.till",result="${result}"} 0`,
    ),
  );
});

test("systems that are served have series of their events, and only those", async () => {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  createIngestMetrics(registry, limits, { sources: ["capgo"] });
  const series = (await registry.metrics())
    .split("\n")
    .filter((line) => line.startsWith("ota_ingest_source_events_total{"));
  expect(series).toEqual(
    SOURCE_RESULTS.map((result) => `ota_ingest_source_events_total{source="capgo",result="${result}"} 0`),
  );
});
