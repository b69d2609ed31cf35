// `statsUrl` of the Capgo plugin at ingest, on a real Redis: what a device is answered, that a fleet that heals itself does
// not blame the good bundle, what is known of each device, and that a copy goes on to Capgo.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deviceDigest, shardOfDevice } from "../../ingest/contract/shard.ts";
import { capgoTimelineKey } from "../../ingest/contract/stream-names.ts";
import { STATS_PATHS } from "../../ingest/sources/capgo/capgo-router.ts";
import { TIMELINE_MS } from "../../ingest/sources/capgo/timeline-store.ts";
import { MOMENTS_MAX } from "../../ingest/sources/capgo/timeline.ts";
import { createLogger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createCapgoDevice } from "../simulation/capgo-device.ts";
import { createRandom } from "../simulation/random.ts";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { TEST_SHARDS, createTestIngest, sampleOf, storedReports } from "../support/ingest-app.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { anyJson } from "../support/source-app.ts";
import { waitUntil } from "../support/wait-until.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);

let redisServer: TestRedis;
let redis: Redis;
let capgo: CodePushUpstream;
let ingest: Server | undefined;
let registry: Registry;
let closes: (() => Promise<void>)[];
let url: string;

beforeAll(async () => {
  redisServer = await startTestRedis();
  redis = await connectTo(redisServer);
});

afterAll(async () => {
  await closeRedis(redis);
  await redisServer.stop();
});

beforeEach(async () => {
  await redis.flushall();
  capgo = await startCodePushUpstream();
  await startIngest({});
});

afterEach(async () => {
  await stopIngest();
  await capgo.stop();
});

async function connectTo({ url: redisUrl }: TestRedis): Promise<Redis> {
  const logger = createLogger({ name: "test", level: "silent" });
  const connection = createRedis({ url: redisUrl, role: "request", logger });
  await waitUntilReady(connection, 5_000);
  return connection;
}

async function startIngest(
  source: Record<string, unknown>,
  more: { redis?: Redis; clock?: () => number } = {},
): Promise<void> {
  await stopIngest();
  closes = [];
  const made = createTestIngest({
    redis: more.redis ?? redis,
    clock: more.clock ?? (() => RECEIVED_AT_MS),
    streamEntriesMax: 100_000,
    sources: { capgo: { channel: "production", ...source } },
    onClose: (close) => void closes.push(close),
  });
  registry = made.registry;
  ingest = createServer(made.app);
  await new Promise<void>((resolve) => void ingest!.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(ingest.address() as AddressInfo).port}`;
}

async function stopIngest(): Promise<void> {
  if (ingest === undefined) return;
  ingest.closeAllConnections();
  await new Promise<void>((resolve) => void ingest!.close(() => resolve()));
  await Promise.all(closes.map((close) => close()));
  ingest = undefined;
}

function event(action: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    platform: "android",
    device_id: "3b0f6a52-91c7-4c55-a0f1-2f7f4d1f9b10",
    app_id: "com.acme.till",
    version_build: "4.2.0",
    version_os: "15",
    version_name: "4.2.7",
    action,
    timestamp: RECEIVED_AT_MS - 1_000,
    ...fields,
  };
}

async function post(
  body: unknown,
  { path = "/capgo/stats", headers = {} }: { path?: string; headers?: Record<string, string> } = {},
) {
  const bytes =
    Buffer.isBuffer(body) || typeof body === "string" ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: new Uint8Array(bytes),
    redirect: "manual",
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

const count = (result: string) =>
  sampleOf(registry, `ota_ingest_source_events_total{source="capgo",result="${result}"}`);

describe("what a device is answered", () => {
  test.each(STATS_PATHS)("%s takes one event and an array; GET says ok", async (path) => {
    expect(await post(event("set"), { path })).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(await post([event("app_launch_ready"), event("ping")], { path })).toMatchObject({
      status: 200,
      text: '{"status":"ok","results":[{"status":"ok","index":0},{"status":"ok","index":1}]}',
    });
    expect(await (await fetch(url + path)).json()).toEqual({ status: "ok" });
    expect((await fetch(url + path, { method: "PUT" })).status).toBe(405);
  });

  test("an empty array is fine, and gzip is", async () => {
    expect(await post([])).toMatchObject({ status: 200, text: '{"status":"ok","results":[]}' });
    const gzipped = await post(gzipSync(JSON.stringify(event("ping"))), {
      headers: { "Content-Encoding": "gzip" },
    });
    expect(gzipped.status).toBe(200);
    expect(await storedReports(redis)).toMatchObject([{ event: "active" }]);
  });

  test("a bad event in a batch costs the others nothing: a plugin would drop all of them on a 4xx", async () => {
    const answer = await post([
      event("ping", { app_id: "com.acme.other" }),
      null,
      event("moonwalk"),
      event("ping"),
    ]);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      results: [
        { error: "on_premise_app" },
        { error: "invalid_json_body" },
        { status: "ok" },
        { status: "ok" },
      ],
    });
    expect(await storedReports(redis)).toHaveLength(1);
    expect(await Promise.all(["unknown_app", "invalid", "unknown_kind", "reported"].map(count))).toEqual([
      1, 1, 1, 1,
    ]);
  });

  test("one event of an unknown app is 200 too: Capgo's 429 would stop the update checks", async () => {
    expect(await post(event("ping", { app_id: "com.acme.other" }))).toMatchObject({ status: 200 });
  });

  test.each([
    ["no JSON", "{", 400],
    ["wrong UTF-8", Buffer.from([0x22, 0xff, 0x22]), 400],
    ["nothing", "", 400],
    ["too much", "x".repeat(6 * 1024 ** 2), 413],
  ])("%s is told in Capgo's form", async (_name, body, status) => {
    const answer = await post(body);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ error: expect.any(String) });
  });

  test("while Redis is away it is a bare 503: the plugin keeps its queue, and still asks for updates", async () => {
    const gone = await startTestRedis();
    const connection = await connectTo(gone);
    await startIngest({}, { redis: connection });
    await gone.kill();
    for (const body of [event("ping"), event("set")]) {
      const answer = await post(body);
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBeNull();
      expect(answer.text).not.toMatch(/retry|rateLimit/i);
    }
    connection.disconnect();
    await gone.stop();
  });

  test("no body makes it fail: 300 of them by chance", async () => {
    const random = createRandom(7, "capgo");
    const names = [
      "device_id",
      "app_id",
      "action",
      "version_name",
      "metadata",
      "timestamp",
      "set",
      "com.acme.till",
    ];
    for (let round = 0; round < 300; round += 1) {
      const { status } = await post(anyJson(random, names));
      expect([200, 400]).toContain(status);
    }
  });
});

describe("of which bundle an event speaks", () => {
  test("300 devices heal themselves, and come to the foreground 5 times: the good bundle stays clean", async () => {
    let nowMs = RECEIVED_AT_MS;
    const clock = (): number => nowMs;
    await startIngest({}, { clock });
    const offers = createServer((_request, response) => response.end(JSON.stringify({ version: "4.2.8" })));
    await new Promise<void>((resolve) => void offers.listen(0, "127.0.0.1", resolve));
    const updateUrl = `http://127.0.0.1:${(offers.address() as AddressInfo).port}/updates`;
    const devices = Array.from({ length: 300 }, () =>
      createCapgoDevice({
        appId: "com.acme.till",
        versionBuild: "4.2.0",
        running: "4.2.7",
        channel: "production",
        statsUrl: `${url}/capgo/stats`,
        updateUrl,
        boots: (version) => version !== "4.2.8",
        clock,
      }),
    );
    for (let turn = 0; turn < 5; turn += 1) {
      nowMs += 600_000;
      const taken = await Promise.all(devices.map((device) => device.foreground()));
      expect(taken.every(Boolean)).toBe(true);
    }
    await new Promise<void>((resolve) => void offers.close(() => resolve()));
    const reports = await storedReports(redis);
    const saying = (version: string, name: string): number =>
      new Set(
        reports.filter((each) => each.version === version && each.event === name).map(({ device }) => device),
      ).size;
    expect(saying("4.2.8", "reverted")).toBe(300);
    expect(saying("4.2.8", "installed")).toBe(300);
    for (const name of ["download_failed", "install_failed", "reverted", "installed", "update_started"])
      expect([name, saying("4.2.7", name)]).toEqual([name, 0]);
    expect(saying("4.2.7", "active")).toBe(300);
    expect(await count("unattributed")).toBe(4 * 300);
  });

  test("a batch that is sent again is attributed as it was, and a switch is remembered between requests", async () => {
    const at = (offsetMs: number) => ({ timestamp: RECEIVED_AT_MS - 60_000 + offsetMs });
    const batch = [
      event("set", { version_name: "4.2.8", old_version_name: "4.2.7", ...at(0) }),
      event("update_fail", { version_name: "4.2.8", ...at(1) }),
      event("set", { version_name: "4.2.7", old_version_name: "builtin", ...at(2) }),
    ];
    await post(batch);
    const once = await storedReports(redis);
    await post(batch.toReversed());
    await post(event("download_fail", { version_name: "4.2.7", ...at(30_000) }));
    const told = (reports: typeof once) =>
      reports.map(({ version, event: name }) => `${name} ${version}`).toSorted();
    expect(told((await storedReports(redis)).slice(0))).toEqual(told([...once, ...once]));
    expect(await count("unattributed")).toBe(1);
  });

  test("a device is known by its newest moments, in a small key that goes by itself", async () => {
    const device = "3b0f6a52-91c7-4c55-a0f1-2f7f4d1f9b10";
    const digest = deviceDigest("com.acme.till", device);
    const key = capgoTimelineKey(shardOfDevice(digest, TEST_SHARDS), digest);
    for (let index = 0; index < 4; index += 1)
      await post(
        event("set", {
          version_name: `4.2.${index + 1}`,
          old_version_name: `4.2.${index}`,
          timestamp: RECEIVED_AT_MS - 90_000 + index,
        }),
      );
    const bytes = Number(await redis.call("MEMORY", "USAGE", key));
    expect(bytes).toBeLessThan(320);
    for (let index = 4; index < 20; index += 1)
      await post(
        event("set", { version_name: `4.2.${index + 1}`, timestamp: RECEIVED_AT_MS - 90_000 + index }),
      );
    expect(await redis.zcard(key)).toBe(MOMENTS_MAX);
    const leftMs = await redis.pttl(key);
    expect(leftMs).toBeGreaterThan(TIMELINE_MS - 60_000);
    expect(leftMs).toBeLessThanOrEqual(TIMELINE_MS);
  });

  test("a device in use leaves nothing there", async () => {
    await post([event("ping"), event("app_moved_to_foreground")]);
    expect(await redis.keys("*capgo*")).toEqual([]);
  });
});

describe("the copy for Capgo", () => {
  test("goes on as it came, and what Capgo answers never reaches the device", async () => {
    capgo.answerWith(
      (_request, response) => void response.writeHead(429, { "Retry-After": "3600" }).end("{}"),
    );
    await startIngest({ relay: `${capgo.url}/stats` });
    const body = ` ${JSON.stringify([event("ping")])}\n`;
    const answer = await post(body, {
      headers: { "User-Agent": "CapacitorUpdater/8.51.23 (com.acme.till) android/15" },
    });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([200, null]);
    await waitUntil(
      () => capgo.got.length,
      (copies) => copies >= 1,
    );
    const [copy] = capgo.got;
    expect(copy).toMatchObject({ method: "POST", url: "/stats" });
    expect(copy!.body.toString()).toBe(body);
    expect(copy!.headers["user-agent"]).toMatch(/^CapacitorUpdater/);
    expect(copy!.headers["x-forwarded-for"]).toContain("127.0.0.1");
  });

  test("is none without `relay`, nor of what was not kept", async () => {
    await post(event("ping"));
    expect(capgo.got).toEqual([]);
  });
});
