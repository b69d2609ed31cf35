// The statistics route of Capgo at ingest, against a real Redis and a server behind it: what is answered, kept, counted and
// sent on; and that no answer keeps a device from asking for updates.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EVENTS_PER_REQUEST_MAX } from "../../ingest/sources/capgo/capgo-body.ts";
import { DEVICES_PER_REQUEST_MAX, EVENTS_PER_DEVICE_MAX } from "../../ingest/sources/capgo/take-events.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createRandom } from "../simulation/random.ts";
import { CAPGO_AT_MS, CAPGO_DEVICE, capgoEvent } from "../support/capgo-events.ts";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { createTestIngest, sampleOf, storedEntries, storedReports } from "../support/ingest-app.ts";
import type { TestIngestOptions } from "../support/ingest-app.ts";
import { recordCommands } from "../support/recorded-commands.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { HOSTILE_TEXTS, anyJson } from "../support/source-app.ts";
import { waitUntil } from "../support/wait-until.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);
const STATS = "/capgo/stats";
const BODY_BYTES_MAX = 1024 ** 2;

let redisServer: TestRedis;
let redis: Redis;
let upstream: CodePushUpstream;
let ingest: Server | undefined;
let registry: Registry;
let closes: (() => Promise<void>)[];
let turnedAway: number;
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
  upstream = await startCodePushUpstream();
  await startIngest();
});

afterEach(async () => {
  await stopIngest();
  await upstream.stop();
});

async function startIngest(
  capgo: Record<string, unknown> = {},
  more: Partial<TestIngestOptions> = {},
): Promise<void> {
  await stopIngest();
  closes = [];
  turnedAway = 0;
  const made = createTestIngest({
    redis,
    clock: () => RECEIVED_AT_MS,
    bodyBytesMax: BODY_BYTES_MAX,
    streamEntriesMax: 100_000,
    sources: { capgo },
    kioskSources: {
      capgo: { app_id: "com.acme.kiosk.app", channel: "stable", channels: { Live: "stable" } },
    },
    onClose: (close) => void closes.push(close),
    onTurnedAway: () => void (turnedAway += 1),
    ...more,
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

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Whatever it is: nothing in it may keep the plugin from asking for updates. */
async function post(body: unknown, headers: Record<string, string> = {}, path = STATS): Promise<Answer> {
  const isRaw = typeof body === "string" || Buffer.isBuffer(body);
  const response = await fetch(url + path, {
    method: "POST",
    headers: {
      "Content-Type": "application/json; charset=utf-8",
      "User-Agent": "CapacitorUpdater/8.51.23 (com.acme.till) android/15",
      ...headers,
    },
    body: isRaw ? new Uint8Array(Buffer.from(body)) : JSON.stringify(body),
    redirect: "manual",
  });
  const text = await response.text();
  expect(response.headers.get("retry-after")).toBeNull();
  expect(response.headers.get("x-ratelimit-reset")).toBeNull();
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(text).not.toMatch(/retryAfterSeconds|rateLimitResetAt/);
  expect(response.status).not.toBe(429);
  return { status: response.status, body: JSON.parse(text) as Record<string, unknown> };
}

const eventsOf = (result: string): Promise<number | undefined> =>
  sampleOf(registry, `ota_ingest_source_events_total{source="capgo",result="${result}"}`);
const refusedOf = (code: string): Promise<number | undefined> =>
  sampleOf(registry, `ota_ingest_requests_refused_total{code="${code}"}`);
const ok = (index: number): object => ({ status: "ok", index });

describe("an answer", () => {
  test.each([STATS, "/stats", "/plugin/stats"])(
    "at %s is Capgo's, and Redis holds the reports by then",
    async (path) => {
      expect(await post(capgoEvent({ action: "app_launch_ready" }), {}, path)).toEqual({
        status: 200,
        body: { status: "ok" },
      });
      expect(await storedReports(redis)).toEqual([
        {
          app: "com.acme.till",
          channel: "production",
          device: CAPGO_DEVICE,
          version: "4.2.7",
          event: "confirmed",
          platform: "android",
          os_version: "15",
          native_version: "4.2.0",
          atMs: CAPGO_AT_MS,
        },
      ]);
      const got = await fetch(url + path);
      expect([got.status, await got.json()]).toEqual([200, { status: "ok" }]);
      const durations = `http_server_request_duration_seconds_count{route="${path}",method="POST",status_class="2xx"}`;
      expect(await sampleOf(registry, durations)).toBe(1);
    },
  );

  test("to a batch has a result for each event, and one bad event costs no other", async () => {
    const batch = [
      capgoEvent({ action: "set", old_version_name: "4.2.6" }),
      capgoEvent({ app_id: "com.acme.unknown" }),
      capgoEvent({ action: "brand_new" }),
      capgoEvent({ defaultChannel: "nowhere" }),
      null,
      capgoEvent({ device_id: "x".repeat(129) }),
      capgoEvent({ version_name: "no version 🙂" }),
      capgoEvent({ action: "set_next" }),
      capgoEvent({ is_emulator: true }),
      capgoEvent({ is_prod: false }),
      capgoEvent({ action: "download_fail", version_name: "4.2.7" }),
      capgoEvent({ app_id: "com.acme.kiosk.app", defaultChannel: "Live" }),
      capgoEvent({ app_id: "com.acme.kiosk.app", defaultChannel: "" }),
    ];
    const { status, body } = await post(batch);
    expect(status).toBe(200);
    expect(body["status"]).toBe("ok");
    const errors = (body["results"] as { error?: string; index: number }[]).map(({ error = "ok", index }) => [
      index,
      error,
    ]);
    expect(errors).toEqual([
      [0, "ok"],
      [1, "on_premise_app"],
      [2, "ok"],
      [3, "no_channel"],
      [4, "invalid_json_body"],
      [5, "invalid_json_body"],
      [6, "invalid_json_body"],
      [7, "ok"],
      [8, "ok"],
      [9, "ok"],
      [10, "ok"],
      [11, "ok"],
      [12, "ok"],
    ]);
    const counted = [
      "reported",
      "unknown_app",
      "unknown_kind",
      "unknown_channel",
      "invalid",
      "no_outcome",
      "excluded",
      "unattributed",
    ];
    expect(await Promise.all(counted.map(eventsOf))).toEqual([3, 1, 1, 1, 3, 1, 2, 1]);
    expect(
      (await storedReports(redis)).map(({ app, channel, event }) => `${app} ${channel} ${event}`).toSorted(),
    ).toEqual([
      "com.acme.kiosk stable active",
      "com.acme.kiosk stable active",
      "com.acme.till production installed",
    ]);
  });

  test("to a single event that is not taken is 200, too: the plugin could do nothing about it", async () => {
    for (const body of [
      {},
      null,
      7,
      "",
      "text",
      capgoEvent({ app_id: "com.acme.unknown" }),
      capgoEvent({ version_name: "a b" }),
    ])
      expect(await post(JSON.stringify(body))).toMatchObject({
        status: 200,
        body: { error: expect.any(String) },
      });
    expect(await post([])).toEqual({ status: 200, body: { status: "ok", results: [] } });
    expect(await storedEntries(redis)).toBe(0);
  });

  test.each([
    ["is no JSON", "[{", {}, 400, "invalid_json_parse_body", "malformed_json"],
    ["is empty", "", {}, 400, "invalid_json_parse_body", "malformed_json"],
    ["is no gzip", "[]", { "Content-Encoding": "gzip" }, 400, "malformed_gzip", "malformed_gzip"],
    [
      "has an unknown encoding",
      "[]",
      { "Content-Encoding": "lzma" },
      415,
      "unsupported_encoding",
      "unsupported_encoding",
    ],
    ["is too large", " ".repeat(BODY_BYTES_MAX + 1), {}, 413, "body_too_large", "body_too_large"],
  ])("to a body that %s says so", async (_what, body, headers, status, error, code) => {
    expect(await post(body, headers)).toMatchObject({ status, body: { error } });
    expect(await refusedOf(code)).toBe(1);
  });

  test("to any other method names those that there are", async () => {
    const response = await fetch(url + STATS, { method: "DELETE" });
    expect([response.status, response.headers.get("allow"), response.headers.get("retry-after")]).toEqual([
      405,
      "GET, HEAD, POST",
      null,
    ]);
    await response.text();
  });

  test(`to ${EVENTS_PER_REQUEST_MAX} events and one more leaves the last one out`, async () => {
    const events = Array.from({ length: EVENTS_PER_REQUEST_MAX + 1 }, (_, index) =>
      capgoEvent({ device_id: `device-${index % DEVICES_PER_REQUEST_MAX}` }),
    );
    const { body } = await post(events);
    expect((body["results"] as object[]).at(-1)).toEqual(ok(EVENTS_PER_REQUEST_MAX - 1));
    expect([await eventsOf("reported"), await eventsOf("invalid")]).toEqual([EVENTS_PER_REQUEST_MAX, 1]);
  });

  test("is the same for gzip, deflate, a byte order mark, no media type and broken UTF-8", async () => {
    const json = JSON.stringify([capgoEvent()]);
    const ofOne = { status: 200, body: { status: "ok", results: [ok(0)] } };
    expect(await post(gzipSync(json), { "Content-Encoding": "gzip" })).toEqual(ofOne);
    expect(await post(deflateSync(json), { "Content-Encoding": "deflate" })).toEqual(ofOne);
    expect(await post(`\uFEFF${json}`, { "Content-Type": "" })).toEqual(ofOne);
    const broken = Buffer.from(json.replace("com.android.vending", "\u00ff"), "latin1");
    expect(await post(broken)).toEqual(ofOne);
    expect(await eventsOf("reported")).toBe(4);
  });

  test("while Redis is away is 503, so that the plugin keeps the batch", async () => {
    const gone = await startTestRedis();
    const connection = await connectTo(gone);
    await gone.stop();
    await startIngest({ relay: `${upstream.url}/stats` }, { redis: connection });
    // One that needs the timeline, and one that does not.
    for (const [times, action] of ["set", "app_moved_to_foreground"].entries()) {
      expect(await post([capgoEvent({ action })])).toMatchObject({
        status: 503,
        body: { error: "redis_unavailable" },
      });
      expect(turnedAway).toBe(times + 1);
    }
    expect(await refusedOf("redis_unavailable")).toBe(2);
    expect(await eventsOf("reported")).toBe(0);
    // What there is nothing to keep of needs no Redis.
    expect((await post([capgoEvent({ action: "set_next" })])).status).toBe(200);
    await waitUntil(
      () => upstream.got.length,
      (got) => got === 1,
    );
    await closeRedis(connection);
  });

  test("while too much waits to be counted is 503, and nothing more", async () => {
    await startIngest({}, { streamEntriesMax: 1, shards: 1 });
    expect((await post([capgoEvent()])).status).toBe(200);
    expect(await post([capgoEvent()])).toMatchObject({ status: 503, body: { error: "backlog_full" } });
    expect(turnedAway).toBe(1);
  });
});

describe("emulators and development builds", () => {
  test.each([
    ["include_emulators", { is_emulator: true }],
    ["include_development", { is_prod: false }],
  ])("count with %s", async (setting, fields) => {
    await post(capgoEvent({ action: "set", ...fields }));
    expect([await eventsOf("excluded"), await storedEntries(redis), await redis.dbsize()]).toEqual([1, 0, 0]);
    await startIngest({ [setting]: true });
    await post(capgoEvent({ action: "set", ...fields }));
    expect([await eventsOf("reported"), await storedEntries(redis)]).toEqual([1, 1]);
  });
});

describe("the timeline of a device", () => {
  const update = [
    capgoEvent({ action: "download_10", timestamp: CAPGO_AT_MS }),
    capgoEvent({ action: "set", old_version_name: "4.2.6", timestamp: CAPGO_AT_MS + 1_000 }),
    capgoEvent({ action: "app_launch_timeout", timestamp: CAPGO_AT_MS + 11_000 }),
    capgoEvent({ action: "update_fail", timestamp: CAPGO_AT_MS + 11_000 }),
    capgoEvent({
      action: "set",
      version_name: "4.2.6",
      old_version_name: "4.2.0",
      timestamp: CAPGO_AT_MS + 11_000,
    }),
    capgoEvent({ action: "delete", timestamp: CAPGO_AT_MS + 11_001 }),
    capgoEvent({ action: "download_fail", version_name: "4.2.6", timestamp: CAPGO_AT_MS + 20_000 }),
    capgoEvent({
      action: "app_crash",
      version_name: "4.2.6",
      timestamp: CAPGO_AT_MS + 30_000,
      metadata: { exit_timestamp: String(CAPGO_AT_MS + 5_000), pid: "4711" },
    }),
  ];
  const told = async (): Promise<string[]> =>
    [
      ...new Set(
        (await storedReports(redis)).map(
          ({ event, version, atMs, id = "" }) => `${event} ${version} ${atMs} ${id}`,
        ),
      ),
    ].toSorted();

  test("is the same, and so are the reports, in any order of a batch and however often it is sent", async () => {
    await post(update);
    const once = await told();
    expect(once.map((text) => text.split(" ").slice(0, 2).join(" "))).toEqual([
      "active 4.2.6",
      "crashed 4.2.7",
      "installed 4.2.7",
      "reverted 4.2.7",
      "update_started 4.2.7",
    ]);
    await post(update.toReversed());
    await post([...update, ...update]);
    const random = createRandom("capgo");
    for (let round = 0; round < 20; round += 1) {
      const shuffled = update
        .map((event) => ({ event, key: random.next() }))
        .toSorted((left, right) => left.key - right.key);
      await post(shuffled.map(({ event }) => event));
    }
    expect(await told()).toEqual(once);
    await redis.flushall();
    await post(update.toReversed());
    expect(await told()).toEqual(once);
  });

  test("holds over requests, for each device its own", async () => {
    for (const event of update) await post(event);
    expect(
      (await told()).filter(
        (text) => text.startsWith("installed 4.2.6") || text.startsWith("download_failed"),
      ),
    ).toEqual([]);
    const stranger = { ...update[6], device_id: "9b0f6a52-91c7-4c55-a0f1-2f7f4d1f9b10" };
    await post([stranger, capgoEvent({ ...stranger, action: "download_fail", version_name: "4.2.7" })]);
    expect(await eventsOf("unattributed")).toBe(3);
  });

  test("costs a device in use no question to Redis", async () => {
    const inUse = ["app_moved_to_foreground", "app_launch_ready", "ping", "webview_page_loaded"].map(
      (action) => capgoEvent({ action }),
    );
    const commandsOf = async (events: object[]): Promise<string[]> => {
      const commands = await recordCommands(redis, () => post(events));
      // How long the stream is, is asked now and then, whoever reports.
      return commands.map(([name]) => name!).filter((name) => name !== "info" && name !== "xlen");
    };
    expect(await commandsOf(inUse)).toEqual(["xadd"]);
    expect(await commandsOf([...inUse, ...update, ...update])).toEqual([
      "zrange",
      "zadd",
      "zremrangebyrank",
      "pexpire",
      "xadd",
    ]);
  });

  test("is not pushed out by the exits that a device tells of at once", async () => {
    await post(capgoEvent({ action: "set", version_name: "4.2.6", timestamp: CAPGO_AT_MS - 100_000 }));
    await post(capgoEvent({ action: "set", version_name: "4.2.7", timestamp: CAPGO_AT_MS - 50_000 }));
    const exits = Array.from({ length: 8 }, (_, index) =>
      capgoEvent({
        action: "app_crash",
        timestamp: CAPGO_AT_MS + index,
        metadata: { exit_timestamp: String(CAPGO_AT_MS - 100_000 + index * 10_000), pid: String(index) },
      }),
    );
    await post(exits);
    await post(exits.toReversed());
    const crashes = (await told()).filter((text) => text.startsWith("crashed"));
    expect(crashes.map((text) => text.split(" ")[1])).toEqual([
      ...Array.from({ length: 5 }, () => "4.2.6"),
      ...Array.from({ length: 3 }, () => "4.2.7"),
    ]);
  });

  test("learns from a crash what ran, when the switch to it was never told: the next one counts", async () => {
    const crashAt = (atMs: number) =>
      capgoEvent({
        action: "app_crash",
        timestamp: atMs + 60_000,
        metadata: { exit_timestamp: String(atMs), pid: "1" },
      });
    await post(capgoEvent({ action: "set", version_name: "4.2.6", timestamp: CAPGO_AT_MS }));
    await post(crashAt(CAPGO_AT_MS + 600_000));
    expect(await eventsOf("unattributed")).toBe(1);
    for (let time = 0; time < 3; time += 1) await post(crashAt(CAPGO_AT_MS + 1_200_000));
    expect((await told()).filter((text) => text.startsWith("crashed"))).toEqual([
      expect.stringMatching(`^crashed 4.2.7 ${CAPGO_AT_MS + 1_200_000} `),
    ]);
  });
});

describe("a request that is no plugin's", () => {
  const many = (count: number, fields: (index: number) => Record<string, unknown>): object[] =>
    Array.from({ length: count }, (_, index) =>
      capgoEvent({ action: "app_moved_to_foreground", ...fields(index) }),
    );

  test("has so many events of one device, and so many devices, and no more", async () => {
    await post(many(EVENTS_PER_DEVICE_MAX, () => ({})));
    expect([await eventsOf("reported"), await eventsOf("invalid")]).toEqual([EVENTS_PER_DEVICE_MAX, 0]);
    await post(many(EVENTS_PER_DEVICE_MAX + 1, () => ({})));
    expect(await eventsOf("invalid")).toBe(1);
    await post(many(DEVICES_PER_REQUEST_MAX + 1, (index) => ({ device_id: `device-${index}` })));
    expect(await eventsOf("invalid")).toBe(2);
  });

  test("can't make attribution look at everything beside everything: ingest goes on answering", async () => {
    const at = (timestamp: number, action: string, version: string, more: object = {}): object =>
      capgoEvent({ action, version_name: version, timestamp, ...more });
    const count = 330;
    const crafted = Array.from({ length: count }, (_, index) => [
      at(CAPGO_AT_MS + index, "update_fail", `9.0.${index}`),
      at(CAPGO_AT_MS + 1_000 + index, "set", `8.0.${index}`),
      at(CAPGO_AT_MS + 100_000, "app_crash", "8.0.0", {
        metadata: { exit_timestamp: String(CAPGO_AT_MS), pid: String(index) },
      }),
    ]).flat();
    const beganMs = performance.now();
    const small = performance.now();
    await post(many(count * 3, (index) => ({ device_id: `device-${index % 50}` })));
    const plainMs = performance.now() - small;
    const crafty = performance.now();
    await post(crafted);
    // A ratio of the same run: before there was a bound it was a thousand times and more.
    expect((performance.now() - crafty) / plainMs).toBeLessThan(50);
    expect(performance.now() - beganMs).toBeLessThan(30_000);
  });
});

describe("the relay", () => {
  test("gets no events of another app", async () => {
    await startIngest({ relay: `${upstream.url}/stats` });
    await post([
      capgoEvent({ action: "ping" }),
      capgoEvent({ action: "ping", app_id: "com.acme.kiosk.app" }),
    ]);
    await post([capgoEvent({ action: "ping" }), capgoEvent({ action: "ping", app_id: "com.acme.unknown" })]);
    await post([capgoEvent({ action: "ping" }), null]);
    await waitUntil(
      () => upstream.got.length,
      (copies) => copies >= 1,
    );
    expect(upstream.got.map(({ body }) => (JSON.parse(body.toString()) as unknown[])[1])).toEqual([null]);
  });

  const got = (count: number): Promise<number> =>
    waitUntil(
      () => upstream.got.length,
      (length) => length >= count,
    );

  test("gets the body as it came, with whose it is; and nobody hears what it answers", async () => {
    await startIngest({ relay: `${upstream.url}/stats` });
    upstream.answerWith(
      (_request, response) => void response.writeHead(429, { "Retry-After": "3600" }).end("{}"),
    );
    const body = gzipSync(JSON.stringify([capgoEvent(), capgoEvent({ is_emulator: true }), { odd: true }]));
    expect((await post(body, { "Content-Encoding": "gzip", "X-Forwarded-For": "203.0.113.7" })).status).toBe(
      200,
    );
    await got(1);
    expect(upstream.got[0]!.body).toEqual(body);
    expect(upstream.got[0]).toMatchObject({
      method: "POST",
      url: "/stats",
      headers: {
        "content-type": "application/json; charset=utf-8",
        "content-encoding": "gzip",
        "user-agent": "CapacitorUpdater/8.51.23 (com.acme.till) android/15",
        "x-forwarded-for": "203.0.113.7, 127.0.0.1",
      },
    });
    // It is asked again in an hour; the next device is not kept waiting.
    expect((await post([capgoEvent()])).status).toBe(200);
  });

  test("gets nothing of other apps, nor what came from here", async () => {
    await startIngest({ relay: `${upstream.url}/stats` });
    await post([capgoEvent({ app_id: "com.acme.kiosk.app" }), capgoEvent({ app_id: "com.acme.unknown" })]);
    await post([capgoEvent()], { Via: "1.1 lastgood-ingest" });
    await post("[", {});
    await stopIngest();
    expect(upstream.got).toEqual([]);
  });

  test("is in nobody's way when it is not there", async () => {
    await startIngest({ relay: "http://127.0.0.1:1/stats" });
    expect((await post([capgoEvent()])).status).toBe(200);
    await stopIngest();
    expect(await sampleOf(registry, 'ota_ingest_forwarded_total{source="capgo",result="given_up"}')).toBe(1);
  });
});

test("no JSON value gives anything but 200, and no depth of it anything but 400", async () => {
  const random = createRandom("capgo-hostile");
  const names = [
    ...Object.keys(capgoEvent()),
    "metadata",
    "exit_timestamp",
    "com.acme.till",
    "set",
    "download_fail",
    "app_crash",
  ];
  for (let round = 0; round < 400; round += 1) {
    const any = anyJson(random, [...names, ...HOSTILE_TEXTS]);
    const events = [
      any,
      { ...capgoEvent(), ...(any as object) },
      capgoEvent({ metadata: any }),
      capgoEvent({ version_name: any }),
    ];
    const { status } = await post(JSON.stringify(random.chance(0.5) ? events : random.pick(events)));
    expect(status).toBe(200);
  }
  const depth = 100_000;
  expect((await post("[".repeat(depth) + "]".repeat(depth))).status).toBe(400);
  expect((await post(`{"metadata":${'{"a":'.repeat(depth)}1${"}".repeat(depth)}}`)).status).toBe(400);
  expect((await post('{"__proto__":{"app_id":"com.acme.till"},"constructor":1}')).status).toBe(200);
  expect((await storedReports(redis)).length).toBeGreaterThan(100);
  expect(await refusedOf("internal_error")).toBe(0);
});
