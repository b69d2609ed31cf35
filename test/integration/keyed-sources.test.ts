// POST /hot-updater/reports and POST /expo/manifest-requests against a real Redis: what is answered, that it is in Redis
// by then, and that no body whatever brings the program out of step.
import { gzipSync } from "node:zlib";
import type { RequestListener } from "node:http";
import supertest from "supertest";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EVENTS_PER_REQUEST_MAX } from "../../ingest/sources/keyed-events-route.ts";
import { createLogger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import {
  KIOSK_KEY,
  SHARED_KEY,
  TILL_KEY,
  createTestIngest,
  sampleOf,
  storedEntries,
  storedReports,
} from "../support/ingest-app.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { HOSTILE_TEXTS, anyJson } from "../support/source-app.ts";
import { createRandom } from "../simulation/random.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);
const HOT_UPDATER = "/hot-updater/reports";
const EXPO = "/expo/manifest-requests";

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
    streamEntriesMax: 100_000,
    sources: { hot_updater: {}, expo: { channel: "production" } },
    kioskSources: { hot_updater: {} },
  }));
});

interface Post {
  readonly key?: string | undefined;
  readonly type?: string;
  readonly encoding?: string;
}

/** The body as it is: text, bytes, or any value as JSON. */
function post(path: string, body: unknown, sent: Post = {}): supertest.Test {
  const key = "key" in sent ? sent.key : TILL_KEY;
  let request = supertest(app).post(path);
  if (key !== undefined) request = request.set("Authorization", `Bearer ${key}`);
  if (sent.type !== undefined) request = request.set("Content-Type", sent.type);
  if (sent.encoding !== undefined) request = request.set("Content-Encoding", sent.encoding);
  const isRaw = Buffer.isBuffer(body) || typeof body === "string";
  const bytes = Buffer.from(isRaw ? body : JSON.stringify(body));
  return request.serialize((value: unknown) => value as string).send(bytes);
}

const eventsOf = (source: string, result: string): Promise<number | undefined> =>
  sampleOf(registry, `ota_ingest_source_events_total{source="${source}",result="${result}"}`);

const STABLE = {
  installId: "i-1",
  platform: "ios",
  appVersion: "3.1.0",
  channel: "production",
  bundleId: "0198c5a2-0000-7000-8000-000000000002",
  status: "STABLE",
};
const CHECK = {
  headers: {
    "eas-client-id": "d-1",
    "expo-platform": "android",
    "expo-current-update-id": "11111111-aaaa-4bbb-8ccc-000000000011",
    "expo-recent-failed-update-ids": '"11111111-aaaa-4bbb-8ccc-000000000012"',
  },
  receivedAt: "2026-01-31T11:59:00Z",
};

describe("hot-updater", () => {
  test("a report is in Redis when 202 is answered, on the channel of its platform", async () => {
    const answer = await post(HOT_UPDATER, STABLE, { type: "application/json" }).expect(202);
    expect(answer.body).toEqual({ accepted: 1, rejected: [] });
    expect(await storedReports(redis)).toEqual([
      {
        app: "com.acme.till",
        channel: "production-ios",
        device: "i-1",
        version: STABLE.bundleId,
        event: "confirmed",
        platform: "ios",
        native_version: "3.1.0",
        atMs: RECEIVED_AT_MS,
      },
    ]);
    expect(await eventsOf("hot_updater", "reported")).toBe(1);
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="accepted"}')).toBe(1);
  });

  test("the built-in bundle is accepted, and nothing is kept of it", async () => {
    const answer = await post(HOT_UPDATER, { ...STABLE, minBundleId: STABLE.bundleId }).expect(202);
    expect(answer.body).toEqual({ accepted: 1, rejected: [] });
    expect(await storedEntries(redis)).toBe(0);
    expect(await eventsOf("hot_updater", "no_outcome")).toBe(1);
  });

  test("no media type, one of a form, gzip, and an array: all the same to it", async () => {
    await post(HOT_UPDATER, STABLE).expect(202);
    await post(HOT_UPDATER, STABLE, { type: "text/plain;charset=UTF-8" }).expect(202);
    await post(HOT_UPDATER, gzipSync(JSON.stringify([STABLE, STABLE])), { encoding: "gzip" }).expect(202);
    expect(await storedReports(redis)).toHaveLength(4);
  });

  test.each([
    [400, "malformed_json", '{"installId":'],
    [400, "malformed_json", Buffer.from([0x22, 0xff, 0x22])],
    [400, "empty_body", ""],
    [400, "empty_batch", []],
    [400, "invalid_report", 5],
    [400, "invalid_report", { ...STABLE, installId: "x".repeat(129) }],
    [400, "invalid_report", { ...STABLE, bundleId: "🙂" }],
    [400, "invalid_report", { ...STABLE, at: "yesterday" }],
    [400, "unknown_event", { ...STABLE, status: "EXPLODED" }],
    [400, "unknown_channel", { ...STABLE, channel: "constructor" }],
    [400, "unknown_app", { ...STABLE, app: "com.acme.kiosk" }],
    [400, "unknown_app", { ...STABLE, app: null }],
  ])("%i %s of a single body", async (status, code, body) => {
    const answer = await post(HOT_UPDATER, body).expect(status);
    expect(answer.type).toBe("application/problem+json");
    expect(answer.body).toMatchObject({ code });
    expect(await storedEntries(redis)).toBe(0);
  });

  test("an id of 128 characters, also of emoji, is a device", async () => {
    for (const installId of ["x".repeat(128), "🙂".repeat(64)])
      await post(HOT_UPDATER, { ...STABLE, installId }).expect(202);
    expect((await storedReports(redis)).map(({ device }) => device.length)).toEqual([128, 128]);
  });

  test("keys: none, unknown, of an app without the source, of several apps", async () => {
    expect((await post(HOT_UPDATER, STABLE, { key: undefined }).expect(401)).body).toMatchObject({
      code: "missing_credentials",
    });
    expect((await post(HOT_UPDATER, STABLE, { key: "no-such-key" }).expect(401)).body).toMatchObject({
      code: "unknown_key",
    });
    expect((await post(EXPO, CHECK, { key: KIOSK_KEY }).expect(403)).body).toMatchObject({
      code: "key_for_another_app",
    });
    expect((await post(HOT_UPDATER, STABLE, { key: SHARED_KEY }).expect(400)).body).toMatchObject({
      code: "unknown_app",
      detail: expect.stringContaining("com.acme.till, com.acme.kiosk"),
    });
    await post(HOT_UPDATER, { ...STABLE, app: "com.acme.till" }, { key: SHARED_KEY }).expect(202);
    // Only the till has the source, but the kiosk's servers have the key too: what names no app is nobody's.
    await post(EXPO, CHECK, { key: SHARED_KEY }).expect(400);
    await post(EXPO, { ...CHECK, app: "com.acme.till" }, { key: SHARED_KEY }).expect(202);
  });
});

describe("expo", () => {
  test("one item becomes a report for each update that it tells of", async () => {
    const answer = await post(EXPO, CHECK).expect(202);
    expect(answer.body).toEqual({ accepted: 1, rejected: [] });
    const base = { app: "com.acme.till", channel: "production", device: "d-1", platform: "android" };
    expect(await storedReports(redis)).toEqual([
      {
        ...base,
        version: "11111111-aaaa-4bbb-8ccc-000000000012",
        event: "reverted",
        atMs: RECEIVED_AT_MS - 60_000,
      },
      {
        ...base,
        version: "11111111-aaaa-4bbb-8ccc-000000000011",
        event: "confirmed",
        atMs: RECEIVED_AT_MS - 60_000,
      },
    ]);
    expect(await eventsOf("expo", "reported")).toBe(1);
  });

  test("in an array the bad are named by index, and the good are kept", async () => {
    const answer = await post(EXPO, [
      CHECK,
      { headers: { "eas-client-id": "d-2" } },
      { headers: {} },
      7,
      { headers: { ...CHECK.headers, "expo-channel-name": "feature/x" } },
      { headers: { "eas-client-id": "d-3", "expo-fatal-error": "boom" } },
    ]).expect(202);
    expect(answer.body).toMatchObject({
      accepted: 3,
      rejected: [
        { index: 2, code: "invalid_report" },
        { index: 3, code: "invalid_report" },
        { index: 4, code: "unknown_channel" },
      ],
    });
    expect(await storedReports(redis)).toHaveLength(2);
    for (const [result, count] of Object.entries({
      reported: 1,
      no_outcome: 1,
      unattributed: 1,
      invalid: 2,
      unknown_channel: 1,
    }))
      expect([result, await eventsOf("expo", result)]).toEqual([result, count]);
  });

  test(`${EVENTS_PER_REQUEST_MAX} items are taken, one more is not`, async () => {
    const items = Array.from({ length: EVENTS_PER_REQUEST_MAX }, () => CHECK);
    const answer = await post(EXPO, items).expect(202);
    expect(answer.body).toMatchObject({ accepted: EVENTS_PER_REQUEST_MAX });
    const refused = await post(EXPO, [...items, CHECK]).expect(413);
    expect(refused.body).toMatchObject({ code: "too_many_reports" });
    expect(await storedReports(redis)).toHaveLength(2 * EVENTS_PER_REQUEST_MAX);
  });
});

describe.each([HOT_UPDATER, EXPO])("%s", (path) => {
  test.each(["get", "put", "delete", "patch"] as const)("%s is answered 405 with Allow", async (method) => {
    const answer = await supertest(app)[method](path).expect(405);
    expect(answer.headers["allow"]).toBe("POST");
    expect(answer.body).toMatchObject({ code: "method_not_allowed" });
  });

  test("is not served where no app names the source", async () => {
    ({ app } = createTestIngest({ redis }));
    expect((await post(path, STABLE)).status).toBe(404);
  });

  test("10 MB, a bomb and depth are refused, and never break it", async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 ** 2, " "));
    const bodies: [body: string | Buffer, status: number, sent?: Post][] = [
      [`"${"x".repeat(10 * 1024 ** 2)}"`, 413],
      [bomb, 413, { encoding: "gzip" }],
      [gzipSync("{}").subarray(0, 12), 400, { encoding: "gzip" }],
      ["[".repeat(100_000) + "]".repeat(100_000), 400],
      [`${'{"headers":'.repeat(50_000)}1${"}".repeat(50_000)}`, 400],
    ];
    for (const [body, status, sent] of bodies) expect((await post(path, body, sent)).status).toBe(status);
  });

  test("no JSON value is answered with anything but 202 or a problem of the sender, and what is kept can be read", async () => {
    const random = createRandom(path);
    const names = [
      ...Object.keys(STABLE),
      "minBundleId",
      "crashedBundleId",
      ...Object.keys(CHECK),
      "RECOVERED",
    ];
    const inner = [...Object.keys(CHECK.headers), "expo-channel-name", "expo-fatal-error", ...HOSTILE_TEXTS];
    const seen = new Set<number>();
    for (let round = 0; round < 400; round += 1) {
      const value = anyJson(random, random.next() < 0.5 ? names : inner);
      const close =
        path === EXPO
          ? { headers: { ...CHECK.headers, ...(value as object) } }
          : { ...STABLE, ...(value as object) };
      const { status } = await post(path, random.next() < 0.5 ? value : [close, value]);
      seen.add(status);
    }
    expect(seen).toEqual(new Set([202, 400]));
    expect((await storedReports(redis)).length).toBeGreaterThan(50);
  });
});

test("while Redis is away: 503, and no event is counted as dealt with; what needs no Redis is answered as ever", async () => {
  const gone = await startTestRedis();
  const logger = createLogger({ name: "test", level: "silent" });
  const connection = createRedis({ url: gone.url, role: "request", logger });
  await waitUntilReady(connection, 5_000);
  await gone.stop();
  ({ app, registry } = createTestIngest({
    redis: connection,
    sources: { hot_updater: {}, expo: { channel: "production" } },
  }));
  for (const [path, body] of [
    [HOT_UPDATER, STABLE],
    [EXPO, [CHECK]],
  ] as const) {
    const answer = await post(path, body).expect(503);
    expect(answer.body).toMatchObject({ code: "redis_unavailable" });
    expect(answer.headers["retry-after"]).toBe("2");
  }
  await post(EXPO, { headers: { "eas-client-id": "d-1" } }).expect(202);
  expect(await eventsOf("hot_updater", "reported")).toBe(0);
  expect(await eventsOf("expo", "reported")).toBe(0);
  await closeRedis(connection);
});
