// The envelope endpoint at ingest, on a real Redis: what an SDK is answered, whom it lets in, pages of other origins,
// hostile bodies, what is counted once however often it comes.
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createRandom } from "../simulation/random.ts";
import { TILL_KEY, sampleOf } from "../support/ingest-app.ts";
import { connectTo, useListeningIngest } from "../support/listening-ingest.ts";
import { HOUR_MS, START_MS, at, envelopeOf, postEnvelope, session } from "../support/sentry-envelopes.ts";
import type { Posted } from "../support/sentry-envelopes.ts";
import { startTestRedis } from "../support/redis.ts";
import { HOSTILE_TEXTS, anyJson } from "../support/source-app.ts";

const PROJECT = { key: "pub", channel: "production" };
const sourcesOf = (source: object = {}, project: object = PROJECT) => ({
  sources: { sentry: { projects: { "42": project }, ...source } },
});
const ingest = useListeningIngest(sourcesOf());

const post = (body: string | Buffer, posted?: Posted) => postEnvelope(ingest.url(), body, posted);

describe("what an SDK is answered", () => {
  test.each(["/api/42/envelope/", "/api/42/envelope"])(
    "%s: 200 with the event's id, once Redis holds it",
    async (path) => {
      const header = { event_id: "8A576419-16df-49ac-a628-a3ab3b127cb1" };
      const answer = await post(envelopeOf(header, ["session", session()]), { path });
      expect(answer).toMatchObject({ status: 200, text: '{"id":"8a57641916df49aca628a3ab3b127cb1"}' });
      expect(answer.headers.get("x-sentry-rate-limits")).toBeNull();
      expect(await ingest.stored()).toMatchObject([
        { device: "till-1", version: "1.4.0", event: "active", atMs: START_MS },
      ]);
      expect(await ingest.results("sentry")).toEqual({ reported: 1 });
    },
  );

  test("without an id in it the answer has none", async () => {
    expect(await post(envelopeOf({}))).toMatchObject({ status: 200, text: "{}" });
    expect(await post(envelopeOf({ event_id: "<script>" }))).toMatchObject({ status: 200, text: "{}" });
  });

  test.each<[string, (body: string) => Buffer, Record<string, string>]>([
    ["as it is, without a type", (body) => Buffer.from(body), {}],
    ["text/plain", (body) => Buffer.from(body), { "content-type": "text/plain;charset=UTF-8" }],
    ["a type of its own", (body) => Buffer.from(body), { "content-type": "application/x-sentry-envelope" }],
    ["gzip", (body) => gzipSync(body), { "content-encoding": "gzip" }],
    ["deflate", (body) => deflateSync(body), { "content-encoding": "deflate" }],
    ["br", (body) => brotliCompressSync(body), { "content-encoding": "br" }],
  ])("%s", async (_name, encode, headers) => {
    expect((await post(encode(envelopeOf({}, ["session", session()])), { headers })).status).toBe(200);
    expect(await ingest.stored()).toHaveLength(1);
  });

  test("chunked", async () => {
    const response = await fetch(`${ingest.url()}/api/42/envelope/?sentry_key=pub`, {
      method: "POST",
      body: new Blob([envelopeOf({}, ["session", session()])]).stream(),
      duplex: "half",
    });
    expect(response.status).toBe(200);
    expect(await ingest.stored()).toHaveLength(1);
  });

  test("items of no use or of tomorrow are skipped, and counted", async () => {
    const body = envelopeOf(
      {},
      ["transaction", {}],
      ["of_tomorrow", {}],
      ["session", session({ did: undefined })],
    );
    expect((await post(body)).status).toBe(200);
    expect(await ingest.results("sentry")).toEqual({ no_outcome: 1, unknown_kind: 1, no_device: 1 });
    expect(await ingest.stored()).toEqual([]);
  });

  test("400 only for a header line that can't be read", async () => {
    for (const body of ["", "x\n", "[]\n", '{}\n{"type":"session"\n{}', '{}\n{"type":"a","length":99}\nx'])
      expect(await post(body)).toMatchObject({
        status: 400,
        text: expect.stringContaining('{"detail":"') as string,
      });
    expect(
      await sampleOf(ingest.registry(), 'ota_ingest_requests_refused_total{code="malformed_envelope"}'),
    ).toBe(5);
  });

  test("413 for too many bytes, as sent and as inflated, and for too many items and sessions", async () => {
    await ingest.start({ ...sourcesOf(), bodyBytesMax: 50_000 });
    const large = envelopeOf({}, ["attachment", "x".repeat(50_000)]);
    expect((await post(large)).status).toBe(413);
    expect((await post(gzipSync(large), { headers: { "content-encoding": "gzip" } })).status).toBe(413);
    const sessions = Array.from({ length: 101 }, () => ["session", session()] as const);
    expect((await post(envelopeOf({}, ...sessions))).status).toBe(413);
    expect((await post(envelopeOf({}, ...sessions.slice(1)))).status).toBe(200);
    const items = Array.from({ length: 1_001 }, () => ["a", 1] as const);
    expect((await post(envelopeOf({}, ...items))).status).toBe(413);
  });

  test("another method is refused; what is beside the endpoint is not there", async () => {
    const get = await post("", { method: "GET" });
    expect(get).toMatchObject({ status: 405, text: expect.stringContaining('{"detail":"') as string });
    expect((await post("", { path: "/api/42/store/" })).status).toBe(404);
  });

  test("while Redis is away it is a bare 503: Retry-After would make SDKs throw away all they have", async () => {
    const gone = await startTestRedis();
    const connection = await connectTo(gone);
    await ingest.start({ ...sourcesOf(), redis: connection });
    await gone.kill();
    const answer = await post(envelopeOf({}, ["session", session()]));
    expect(answer).toMatchObject({ status: 503, text: expect.stringContaining('{"detail":"') as string });
    expect(answer.headers.get("retry-after")).toBeNull();
    expect(answer.headers.get("x-sentry-rate-limits")).toBeNull();
    expect(await ingest.results("sentry")).toEqual({});
    connection.disconnect();
    await gone.stop();
  });
});

describe("who may come in", () => {
  const body = envelopeOf({}, ["session", session()]);
  const withDsn = (dsn: unknown): string => envelopeOf({ dsn }, ["session", session()]);
  const auth = (key: string): string => `Sentry sentry_version=7, sentry_client=x/1, sentry_key=${key}`;

  test.each<[string, string, Posted, number]>([
    ["the key in the query", body, {}, 200],
    ["in X-Sentry-Auth", body, { query: "", headers: { "X-Sentry-Auth": auth("pub") } }, 200],
    ["in Authorization", body, { query: "", headers: { Authorization: auth("pub") } }, 200],
    ["in the envelope", withDsn("https://pub@lastgood.acme.example/42"), { query: "" }, 200],
    [
      "in the envelope with a secret and a path",
      withDsn("https://pub:sec@x.example/a/b/42"),
      { query: "" },
      200,
    ],
    ["in both", withDsn("https://pub@lastgood.acme.example/42"), {}, 200],
    ["another scheme beside it", body, { headers: { Authorization: "Bearer x" } }, 200],
    ["no key", body, { query: "" }, 401],
    ["another scheme alone", body, { query: "", headers: { Authorization: "Bearer pub" } }, 401],
    ["a wrong key", body, { query: "?sentry_key=other" }, 403],
    ["two keys in the query", body, { query: "?sentry_key=pub&sentry_key=pub" }, 403],
    ["a wrong one beside a right one", body, { headers: { "X-Sentry-Auth": auth("other") } }, 403],
    ["an unknown project", body, { path: "/api/43/envelope/" }, 403],
    ["a project of names that objects inherit", body, { path: "/api/constructor/envelope/" }, 403],
    ["another project in the envelope", withDsn("https://pub@x.example/43"), {}, 403],
    ["another key in the envelope", withDsn("https://other@x.example/42"), {}, 403],
    ["no DSN in the envelope", withDsn("pub"), {}, 403],
    ["a DSN that is no text", withDsn({}), {}, 403],
  ])("%s", async (_name, sent, posted, status) => {
    const answer = await post(sent, posted);
    expect(answer.status).toBe(status);
    if (status === 200) return;
    expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(["detail"]);
    expect(await ingest.stored()).toEqual([]);
  });
});

describe("pages of other origins", () => {
  const body = envelopeOf({}, ["session", session()]);
  const origin = "https://app.acme.example";

  test("a preflight passes from everywhere, and every answer can be read", async () => {
    const preflight = await post("", { method: "OPTIONS", headers: { Origin: origin } });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    const allowed = preflight.headers.get("access-control-allow-headers")!.split(", ");
    expect(allowed).toEqual(
      expect.arrayContaining([
        "x-sentry-auth",
        "content-type",
        "content-encoding",
        "sentry-trace",
        "baggage",
      ]),
    );
    for (const posted of [{}, { query: "" }, { query: "?sentry_key=other" }, { path: "/api/43/envelope/" }]) {
      const answer = await post(body, { ...posted, headers: { Origin: origin } });
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("access-control-expose-headers")).toBe("x-sentry-rate-limits, retry-after");
    }
    expect(
      (await post("x", { headers: { Origin: origin } })).headers.get("access-control-allow-origin"),
    ).toBe("*");
  });

  test("where origins are named, others are refused; what is no page is not asked", async () => {
    await ingest.start(sourcesOf({ origins: [origin, "capacitor://localhost"] }));
    for (const good of [origin, "capacitor://localhost"]) {
      const answer = await post(body, { headers: { Origin: good } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("access-control-allow-origin")).toBe(good);
      expect(answer.headers.get("vary")).toBe("Origin");
    }
    for (const bad of ["https://evil.example", "null", "https://app.acme.example.evil.example"]) {
      const answer = await post(body, { headers: { Origin: bad } });
      expect(answer.status).toBe(403);
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    }
    expect((await post(body)).status).toBe(200);
  });
});

describe("hostile bodies", () => {
  test("whatever an item holds, the answer is 200 and the next one is taken: 300 by chance", async () => {
    const random = createRandom(11, "sentry");
    const names = [
      "sid",
      "did",
      "started",
      "timestamp",
      "status",
      "crashed",
      "attrs",
      "release",
      "aggregates",
      "user",
      "id",
      "exception",
      "values",
      "mechanism",
      "handled",
      "contexts",
      "till-1",
      "ota_updates",
      "update_id",
      "stacktrace",
      "frames",
    ];
    for (const crashes_from of ["sessions", "events"]) {
      await ingest.start(sourcesOf({ crashes_from, unhandled_is_crash: true }));
      for (let round = 0; round < 150; round += 1) {
        const type = random.pick(["session", "sessions", "event", ...HOSTILE_TEXTS]);
        const header = anyJson(random, ["event_id", "sent_at", "trace", "sdk"]);
        const body = envelopeOf(
          typeof header === "object" && header !== null && !Array.isArray(header) ? header : {},
          [type, anyJson(random, names)],
        );
        expect((await post(body)).status).toBe(200);
      }
    }
    expect((await post(envelopeOf({}, ["session", session()]))).status).toBe(200);
  });

  test("whatever the bytes, never 5xx: 200 by chance", async () => {
    const random = createRandom(12, "sentry-bytes");
    const good = Buffer.from(
      envelopeOf({ sent_at: at(START_MS) }, ["session", session()], ["event", { level: "fatal" }]),
    );
    for (let round = 0; round < 200; round += 1) {
      const bytes = Buffer.from(good);
      for (let change = 0; change < 4; change += 1)
        bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
      expect([200, 400, 403]).toContain((await post(bytes)).status);
    }
  });

  test.each<[string, string | Buffer]>([
    ["JSON of 100,000 brackets", `{}\n{"type":"session"}\n${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ["an object that nests", `{}\n{"type":"event"}\n${'{"contexts":'.repeat(50_000)}1${"}".repeat(50_000)}`],
    ["a header that nests", `{"dsn":${"[".repeat(50_000)}${"]".repeat(50_000)}}\n`],
    [
      "prototype keys",
      '{"__proto__":{"dsn":"x"}}\n{"type":"session","__proto__":{}}\n{"__proto__":{"did":"a"},"constructor":1}',
    ],
    [
      "no UTF-8",
      Buffer.concat([Buffer.from('{}\n{"type":"session"}\n'), Buffer.from([0xff, 0xfe, 0xc3, 0x28])]),
    ],
    ["no gzip", Buffer.from("not gzip")],
  ])("%s", async (name, body) => {
    const headers: Record<string, string> = name === "no gzip" ? { "content-encoding": "gzip" } : {};
    expect([200, 400, 403]).toContain((await post(body, { headers })).status);
    expect(await ingest.stored()).toEqual([]);
  });

  test("what no project can be called is nowhere", async () => {
    for (const path of [
      "/api/%E0%A4%A/envelope/",
      "/api/%00/envelope/",
      `/api/${"9".repeat(2_000)}/envelope/`,
    ])
      expect((await post(envelopeOf({}), { path })).status).toBe(404);
  });

  test("an object that can't be made a text is nowhere made one", async () => {
    const odd = { toString: 1, valueOf: 1 };
    const fields = [
      "sid",
      "did",
      "started",
      "timestamp",
      "status",
      "duration",
      "abnormal_mechanism",
      "attrs",
      "level",
      "user",
      "contexts",
      "tags",
      "release",
      "exception",
      "message",
      "aggregates",
    ];
    const item = Object.fromEntries(fields.map((name) => [name, odd]));
    const header = { event_id: odd, sent_at: odd, trace: odd };
    const items = ["session", "sessions", "event"].map((type) => [type, item] as const);
    expect((await post(envelopeOf(header, ...items))).status).toBe(200);
    expect((await post(envelopeOf({ dsn: odd }, ...items))).status).toBe(403);
  });

  test("10 MB are refused, and the next one is taken", async () => {
    expect((await post("x".repeat(10 * 1024 ** 2))).status).toBe(413);
    expect((await post(envelopeOf({}, ["session", session()]))).status).toBe(200);
  });

  test("names of devices: 128 characters, emoji, and not one more", async () => {
    for (const did of ["x".repeat(128), "🙂".repeat(64), "__proto__"])
      await post(envelopeOf({}, ["session", session({ did })]));
    for (const did of ["x".repeat(129), "a\u0000b", "\n"])
      await post(envelopeOf({}, ["session", session({ did })]));
    expect(await ingest.results("sentry")).toEqual({ reported: 3, invalid: 3 });
    expect(new Set((await ingest.stored()).map(({ device }) => device))).toEqual(
      new Set(["x".repeat(128), "🙂".repeat(64), "__proto__"]),
    );
  });
});

describe("what is counted", () => {
  const crash = {
    event_id: "8a57641916df49aca628a3ab3b127cb1",
    timestamp: START_MS / 1_000 + 60,
    level: "fatal",
    release: "com.acme.till@1.4.0",
    user: { id: "till-2" },
    exception: { values: [{ type: "TypeError", value: "boom", mechanism: { handled: false } }] },
  };

  test("sessions in any number and order, each crash beside its event: devices and hours are right", async () => {
    const ended = (did: string, status: string) =>
      envelopeOf({}, ["session", session({ did, status, init: false, sid: undefined })]);
    const crashed = envelopeOf(
      {},
      ["event", crash],
      ["session", session({ did: "till-2", status: "crashed" })],
    );
    const hung = envelopeOf({}, [
      "session",
      session({ did: "till-3", status: "abnormal", abnormal_mechanism: "anr_foreground" }),
    ]);
    const envelopes = [
      envelopeOf({}, ["session", session()]),
      ended("till-1", "exited"),
      envelopeOf({}, ["session", session({ did: "till-2" })]),
      crashed,
      hung,
      ended("till-4", "unhandled"),
    ];
    for (const body of [...envelopes, ...envelopes.toReversed(), crashed])
      expect((await post(body)).status).toBe(200);
    const { devices, hours } = await ingest.counted("1.4.0");
    expect(devices).toMatchObject({ active: 4, crashed: 1, not_responding: 1, running: 4, attempted: 0 });
    expect(hours).toEqual({
      active: 4,
      crashed: 1,
      notResponding: 1,
      firstCrashed: 1,
      firstNotResponding: 1,
    });
  });

  test("a crash that is sent two hours later by the next release is one of the release of then", async () => {
    const late = session({ did: "till-2", status: "crashed", timestamp: at(START_MS + 60_000) });
    const now = session({
      did: "till-2",
      started: at(START_MS + 2 * HOUR_MS),
      timestamp: undefined,
      attrs: { release: "com.acme.till@1.5.0" },
    });
    expect((await post(envelopeOf({}, ["session", now], ["session", late]))).status).toBe(200);
    expect(await ingest.counted("1.4.0")).toMatchObject({
      devices: { crashed: 1, running: 0 },
      hours: { active: 1, crashed: 1 },
    });
    expect(await ingest.counted("1.5.0")).toMatchObject({
      devices: { crashed: 0, running: 1 },
      hours: { active: 1, crashed: 0 },
    });
  });

  test("by events: the crash is the event's, use is the session's, and they are never added up", async () => {
    await ingest.start(sourcesOf({ crashes_from: "events" }));
    // The session's clock has passed the hour when the event's had not.
    const crashed = session({ did: "till-2", status: "crashed", timestamp: at(START_MS + HOUR_MS) });
    await post(envelopeOf({}, ["session", crashed]));
    await post(envelopeOf({}, ["event", crash]));
    await post(envelopeOf({}, ["event", crash]));
    expect((await ingest.stored()).find(({ event }) => event === "crashed")).toMatchObject({
      id: crash.event_id,
      crash: { type: "TypeError", message: "boom" },
    });
    expect(await ingest.counted("1.4.0")).toMatchObject({
      devices: { crashed: 1 },
      hours: { active: 2, crashed: 1, firstCrashed: 1 },
    });
  });
});

test("Expo: crashes by the update that ran, use by the manifest requests of the same device", async () => {
  const update = "11111111-aaaa-4bbb-8ccc-000000000011";
  const { sources } = sourcesOf({ crashes_from: "events" });
  await ingest.start({ sources: { ...sources, expo: { channel: "production" } } });
  const check = (device: string) => ({
    headers: { "eas-client-id": device, "expo-platform": "ios", "expo-current-update-id": update },
    receivedAt: at(START_MS),
  });
  const asked = await fetch(`${ingest.url()}/expo/manifest-requests`, {
    method: "POST",
    headers: { Authorization: `Bearer ${TILL_KEY}` },
    body: JSON.stringify(["a", "b", "c", "d"].map(check)),
  });
  expect(asked.status).toBe(202);
  const crash = {
    timestamp: START_MS / 1_000 + 60,
    level: "fatal",
    release: "com.acme.till@4.2.0+7",
    user: { id: "a" },
    contexts: { ota_updates: { update_id: update, is_embedded_launch: "false" } },
    exception: { values: [{ type: "E", mechanism: { handled: false } }] },
  };
  expect((await post(envelopeOf({}, ["event", crash]))).status).toBe(200);
  const { devices, hours } = await ingest.counted(update);
  expect(devices).toMatchObject({ attempted: 4, confirmed: 4, crashed: 1, failed: 0 });
  expect(hours).toMatchObject({ active: 4, crashed: 1, firstCrashed: 1 });
});
