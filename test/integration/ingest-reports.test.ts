// POST /v1/reports against a real Redis: what is taken, and that it is in Redis when 202 is answered.
import { gzipSync } from "node:zlib";
import type { RequestListener } from "node:http";
import supertest from "supertest";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  REPORT_AGE_MS_MAX,
  REPORT_AHEAD_MS_MAX,
  REPORTS_PER_REQUEST_MAX,
} from "../../ingest/contract/device-report.ts";
import { REPORTS_PER_ENTRY_MAX } from "../../ingest/stream-writer.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import {
  SHARED_KEY,
  createTestIngest,
  manyReports,
  reportOfBytes,
  sampleOf,
  sampleReport,
  sendReports,
  storedEntries,
  storedReports,
  toNdjson,
} from "../support/ingest-app.ts";
import type { Sent } from "../support/ingest-app.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);
const BODY_BYTES_MAX = 5 * 1024 ** 2;

let server: TestRedis;
let redis: Redis;
let app: RequestListener;
let registry: Registry;

beforeAll(async () => {
  server = await startTestRedis();
  redis = await connectTo(server);
});

afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

beforeEach(async () => {
  await redis.flushall();
  ({ app, registry } = createTestIngest({
    redis,
    clock: () => RECEIVED_AT_MS,
    bodyBytesMax: BODY_BYTES_MAX,
  }));
});

const send = (body: unknown, sent?: Sent): ReturnType<typeof sendReports> => sendReports(app, body, sent);

describe("what is taken", () => {
  test("one report, with every field, is in Redis when 202 is answered", async () => {
    const report = sampleReport({
      at: "2026-01-31T12:59:00+01:00",
      from: "1.3.0",
      id: "r-1",
      reason: "disk_full",
      event: "install_failed",
      crash: { fingerprint: "f", message: "m", type: "t" },
      platform: "android",
      model: "T 1000",
      os_version: "14",
      native_version: "7",
    });
    const answer = await send(report).expect(202);
    expect(answer.body).toEqual({ accepted: 1, rejected: [] });
    const { at: _, ...rest } = report;
    expect(await storedReports(redis)).toEqual([{ ...rest, atMs: RECEIVED_AT_MS - 60_000 }]);
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="accepted"}')).toBe(1);
  });

  test("an array: the bad are named by index, the good are kept", async () => {
    const answer = await send([
      sampleReport({ device: "a" }),
      sampleReport({ event: "exploded" }),
      5,
      sampleReport({ device: "b" }),
      sampleReport({ app: "com.acme.kiosk", channel: "stable" }),
    ]).expect(202);
    expect(answer.body).toMatchObject({
      accepted: 2,
      rejected: [
        { index: 1, code: "unknown_event" },
        { index: 2, code: "invalid_report", detail: "A report must be an object, not a number." },
        { index: 4, code: "key_for_another_app" },
      ],
    });
    expect((await storedReports(redis)).map(({ device }) => device).toSorted()).toEqual(["a", "b"]);
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="key_for_another_app"}')).toBe(1);
  });

  test("an array of nothing but bad reports is answered 202 with the reasons, and nothing is kept", async () => {
    const answer = await send([sampleReport({ event: "exploded" })]).expect(202);
    expect(answer.body).toMatchObject({ accepted: 0, rejected: [{ index: 0, code: "unknown_event" }] });
    expect(await storedEntries(redis)).toBe(0);
  });

  test("NDJSON: a broken line, also one that is not UTF-8, costs only itself; blank lines do not count", async () => {
    const body = Buffer.concat([
      Buffer.from(`\uFEFF${JSON.stringify(sampleReport({ device: "a" }))}\r\n\n \t\r\n{"app": \n`),
      Buffer.from([0x22, 0xff, 0x22, 0x0a]),
      Buffer.from(JSON.stringify(sampleReport({ device: "b" }))),
    ]);
    const answer = await send(body, { type: "application/x-ndjson" }).expect(202);
    expect(answer.body).toMatchObject({
      accepted: 2,
      rejected: [
        { index: 1, code: "malformed_json" },
        { index: 2, code: "malformed_json", detail: "The text is not UTF-8." },
      ],
    });
    expect(await storedReports(redis)).toHaveLength(2);
  });

  test("gzip, for JSON and NDJSON", async () => {
    await send(gzipSync(JSON.stringify(sampleReport())), { encoding: "gzip" }).expect(202);
    await send(gzipSync(toNdjson(manyReports(3))), { encoding: "GZIP", type: "application/x-ndjson" }).expect(
      202,
    );
    expect(await storedReports(redis)).toHaveLength(4);
  });

  test("10,000 reports in one request, in few entries of at most 1,000 reports", async () => {
    const answer = await send(manyReports(REPORTS_PER_REQUEST_MAX)).expect(202);
    expect(answer.body).toEqual({ accepted: REPORTS_PER_REQUEST_MAX, rejected: [] });
    const devices = new Set((await storedReports(redis)).map(({ device }) => device));
    expect(devices.size).toBe(REPORTS_PER_REQUEST_MAX);
    // About 2,500 reports for each of the four shards: three entries each.
    expect(await storedEntries(redis)).toBeGreaterThanOrEqual(
      REPORTS_PER_REQUEST_MAX / REPORTS_PER_ENTRY_MAX,
    );
    expect(await storedEntries(redis)).toBeLessThanOrEqual(16);
  });

  test("a body of exactly the limit, sent and inflated", async () => {
    await send(reportOfBytes(BODY_BYTES_MAX)).expect(202);
    await send(gzipSync(reportOfBytes(BODY_BYTES_MAX)), { encoding: "gzip" }).expect(202);
    expect(await storedReports(redis)).toHaveLength(2);
  });

  test("a key that is listed under two apps reports for both", async () => {
    const body = [sampleReport(), sampleReport({ app: "com.acme.kiosk", channel: "stable" })];
    const answer = await send(body, { key: SHARED_KEY }).expect(202);
    expect(answer.body).toEqual({ accepted: 2, rejected: [] });
  });

  test("an absurd but real time is clamped and counted, never refused", async () => {
    await send([
      sampleReport({ device: "a", at: 0 }),
      sampleReport({ device: "b", at: "9999-12-31T23:59:59Z" }),
      sampleReport({ device: "c", at: RECEIVED_AT_MS - REPORT_AGE_MS_MAX }),
    ]).expect(202);
    const times = Object.fromEntries((await storedReports(redis)).map(({ device, atMs }) => [device, atMs]));
    expect(times).toEqual({
      a: RECEIVED_AT_MS - REPORT_AGE_MS_MAX,
      b: RECEIVED_AT_MS + REPORT_AHEAD_MS_MAX,
      c: RECEIVED_AT_MS - REPORT_AGE_MS_MAX,
    });
    expect(await sampleOf(registry, 'ota_ingest_clock_skew_total{direction="past"}')).toBe(1);
    expect(await sampleOf(registry, 'ota_ingest_clock_skew_total{direction="future"}')).toBe(1);
  });

  test("__proto__ and constructor in a report are fields nobody reads", async () => {
    const body = `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},${JSON.stringify(sampleReport()).slice(1)}`;
    await send(body).expect(202);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(await storedReports(redis)).toEqual([{ ...sampleReport(), atMs: RECEIVED_AT_MS }]);
  });

  test("every answer forbids sniffing and caching, and does not name the framework", async () => {
    for (const answer of [
      await send(sampleReport()),
      await send("{"),
      await supertest(app).get("/nowhere"),
    ]) {
      expect(answer.headers["x-content-type-options"]).toBe("nosniff");
      expect(answer.headers["cache-control"]).toBe("no-store");
      expect(answer.headers).not.toHaveProperty("x-powered-by");
    }
  });
});
