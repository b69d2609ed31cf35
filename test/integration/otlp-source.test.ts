// OTLP logs at ingest, on a real Redis: what an exporter is answered, with and without records that can't be counted, whom
// it lets in, hostile bodies, and that a batch that comes again counts nothing twice.
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { OTLP_JSON_DEPTH_MAX } from "../../ingest/sources/otlp/otlp-router.ts";
import { createRandom } from "../simulation/random.ts";
import { KIOSK_KEY, SHARED_KEY, TILL_KEY } from "../support/ingest-app.ts";
import { connectTo, useListeningIngest } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import { anyJson } from "../support/source-app.ts";

const SOURCES = {
  sources: { otlp: { channel: "production" } },
  kioskSources: { otlp: { channel: "stable" } },
};
const ingest = useListeningIngest(SOURCES);

const HOUR_MS = 3_600_000;
const START_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;
const nanosecondsAt = (timeMs: number): string => `${timeMs}000000`;

const attributesOf = (values: Record<string, string>) =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));

function logsOf(resource: Record<string, string>, ...logRecords: unknown[]): object {
  const attributes = attributesOf({
    "app.ota.release": "1.4.0",
    "app.installation.id": "till-1",
    ...resource,
  });
  return { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ scope: {}, logRecords }] }] };
}
const CRASH = {
  timeUnixNano: nanosecondsAt(START_MS + 60_000),
  severityNumber: 21,
  attributes: attributesOf({ "exception.type": "TypeError", "exception.message": "boom" }),
};
const USE = { timeUnixNano: nanosecondsAt(START_MS), eventName: "session.start" };
const LINE = { timeUnixNano: nanosecondsAt(START_MS), body: { stringValue: "hello" } };

async function post(body: unknown, headers: Record<string, string> = {}, method = "POST") {
  const bytes =
    Buffer.isBuffer(body) || typeof body === "string" ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  const response = await fetch(`${ingest.url()}/v1/logs`, {
    method,
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TILL_KEY}`, ...headers },
    ...(method === "POST" ? { body: new Uint8Array(bytes) } : {}),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

describe("what an exporter is answered", () => {
  test("maps in one another as deep as the limit; one deeper is refused", async () => {
    const nested = (depth: number): Buffer => {
      const marker = JSON.stringify(logsOf({}, { ...CRASH, body: "HERE" }));
      // The body stands in seven: the request, resourceLogs, one of them, scopeLogs, one of them, logRecords, the record.
      const inner = depth - 7;
      return Buffer.from(marker.replace('"HERE"', `${"[".repeat(inner)}${"]".repeat(inner)}`));
    };
    expect(await post(nested(OTLP_JSON_DEPTH_MAX))).toMatchObject({ status: 200, text: "{}" });
    expect(await post(nested(OTLP_JSON_DEPTH_MAX + 1))).toMatchObject({ status: 400 });
    let map: object = { stringValue: "in the midst" };
    for (let level = 0; level < 60; level += 1) map = { kvlistValue: { values: [{ key: "k", value: map }] } };
    expect(await post(logsOf({}, { ...CRASH, body: map }))).toMatchObject({ status: 200, text: "{}" });
  });

  test("200 {} once Redis holds what counts; lines of log are no matter", async () => {
    const answer = await post(logsOf({}, CRASH, USE, LINE));
    expect(answer).toMatchObject({ status: 200, text: "{}" });
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(await ingest.stored()).toMatchObject([
      { event: "crashed", atMs: START_MS + 60_000, crash: { type: "TypeError", message: "boom" } },
      { event: "active", atMs: START_MS },
    ]);
    expect(await ingest.results("otlp")).toEqual({ reported: 2, no_outcome: 1 });
  });

  test("gzip, and a media type with parameters", async () => {
    const answer = await post(gzipSync(JSON.stringify(logsOf({}, USE))), {
      "Content-Encoding": "gzip",
      "Content-Type": "application/json; charset=utf-8",
    });
    expect(answer).toMatchObject({ status: 200, text: "{}" });
    expect(await ingest.stored()).toHaveLength(1);
  });

  test("an empty request is fine", async () => {
    for (const body of [{}, { resourceLogs: [] }, { resourceLogs: [{}, 7, { scopeLogs: [{}, null] }] }])
      expect(await post(body)).toMatchObject({ status: 200, text: "{}" });
  });

  test("records that were meant to count and could not are told, with what to do", async () => {
    const answer = await post({
      resourceLogs: [
        ...(logsOf({ "app.installation.id": "" }, CRASH) as { resourceLogs: object[] }).resourceLogs,
        ...(logsOf({ "app.ota.release": "" }, CRASH, LINE, 7) as { resourceLogs: object[] }).resourceLogs,
        ...(logsOf({}, CRASH) as { resourceLogs: object[] }).resourceLogs,
      ],
    });
    expect(answer.status).toBe(200);
    const { partialSuccess } = JSON.parse(answer.text) as { partialSuccess: Record<string, string> };
    expect(partialSuccess["rejectedLogRecords"]).toBe("3");
    expect(partialSuccess["errorMessage"]).toMatch(/device_attribute.*release_attribute.*form/);
    expect(await ingest.results("otlp")).toEqual({
      reported: 1,
      no_outcome: 1,
      no_device: 1,
      unattributed: 1,
      invalid: 1,
    });
  });

  test.each<[string, unknown]>([
    ["no JSON", "{"],
    ["nothing", ""],
    ["an array", []],
    ["null", "null"],
    ["resourceLogs that are no list", { resourceLogs: {} }],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0xfe])],
  ])("400, which is final: %s", async (_name, body) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toEqual({ code: 3, message: expect.any(String) as string });
    expect(answer.headers.get("retry-after")).toBeNull();
  });

  test("415 for protobuf, with what to set", async () => {
    for (const type of ["application/x-protobuf", "text/plain"]) {
      const answer = await post(Buffer.from([0x0a, 0x00]), { "Content-Type": type });
      expect(answer).toMatchObject({ status: 415, text: expect.stringContaining("http/json") as string });
    }
  });

  test("413 for too many bytes and for too many records", async () => {
    const records = (count: number) => logsOf({}, ...Array.from({ length: count }, () => ({})));
    expect((await post(records(10_000))).status).toBe(200);
    expect((await post(records(10_001))).status).toBe(413);
    expect((await post("x".repeat(10 * 1024 ** 2))).status).toBe(413);
  });

  test("405 for another method", async () => {
    const answer = await post("", {}, "GET");
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("POST");
  });

  test("503 with Retry-After while Redis is away: exporters send it again", async () => {
    const gone = await startTestRedis();
    const connection = await connectTo(gone);
    await ingest.start({ ...SOURCES, redis: connection });
    await gone.kill();
    const answer = await post(logsOf({}, CRASH));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 14 });
    expect(await ingest.results("otlp")).toEqual({});
    connection.disconnect();
    await gone.stop();
  });
});

describe("whose records they are", () => {
  test.each<[string, Record<string, string>, number]>([
    ["no key", { Authorization: "" }, 401],
    ["a wrong key", { Authorization: "Bearer other" }, 401],
    ["another scheme", { Authorization: `Basic ${TILL_KEY}` }, 401],
  ])("%s", async (_name, headers, status) => {
    expect((await post(logsOf({}, CRASH), headers)).status).toBe(status);
    expect(await ingest.stored()).toEqual([]);
  });

  test("a key of one app names it; a key of two needs service.name", async () => {
    await post(logsOf({ "service.name": "anything" }, USE));
    await post(logsOf({ "service.name": "com.acme.till" }, USE), { Authorization: `Bearer ${KIOSK_KEY}` });
    const shared = { Authorization: `Bearer ${SHARED_KEY}` };
    await post(logsOf({ "service.name": "com.acme.kiosk" }, USE), shared);
    const answer = await post(logsOf({ "service.name": "anything" }, USE), shared);
    expect(answer.text).toContain("service.name");
    expect((await ingest.stored()).map(({ app, channel }) => `${app} ${channel}`)).toEqual([
      "com.acme.till production",
      "com.acme.kiosk stable",
      "com.acme.kiosk stable",
    ]);
    expect(await ingest.results("otlp")).toEqual({ reported: 3, unknown_app: 1 });
  });

  test("a key of two apps, of which one has the source, still needs service.name: the other's records are not its", async () => {
    await ingest.start({ sources: { otlp: { channel: "production" } }, kioskSources: {} });
    const shared = { Authorization: `Bearer ${SHARED_KEY}` };
    await post(logsOf({ "service.name": "com.acme.kiosk" }, CRASH), shared);
    await post(logsOf({}, CRASH), shared);
    await post(logsOf({ "service.name": "com.acme.till" }, CRASH), shared);
    expect(await ingest.results("otlp")).toEqual({ reported: 1, unknown_app: 2 });
  });

  test("where the app names a service, others are not its", async () => {
    await ingest.start({ sources: { otlp: { channel: "production", service_name: "till" } } });
    await post(logsOf({ "service.name": "till" }, USE));
    await post(logsOf({ "service.name": "backend" }, USE));
    expect(await ingest.results("otlp")).toEqual({ reported: 1, unknown_app: 1 });
  });

  test("a key whose app has no such source is refused", async () => {
    await ingest.start({ sources: { otlp: { channel: "production" } }, kioskSources: {} });
    expect((await post(logsOf({}, USE), { Authorization: `Bearer ${KIOSK_KEY}` })).status).toBe(403);
  });
});

test("a batch that comes again, in parts and in any order, counts once", async () => {
  const of = (device: string) => ({ "app.installation.id": device });
  const batches = [
    logsOf(of("till-1"), USE),
    logsOf(of("till-2"), USE, CRASH),
    logsOf(of("till-2"), CRASH, USE),
    logsOf(of("till-3"), CRASH),
  ];
  for (const batch of [...batches, ...batches.toReversed()]) expect((await post(batch)).status).toBe(200);
  const { devices, hours } = await ingest.counted("1.4.0");
  expect(devices).toMatchObject({ active: 2, crashed: 2, running: 3, attempted: 0 });
  expect(hours).toMatchObject({ active: 3, crashed: 2, firstCrashed: 2 });
});

describe("hostile bodies", () => {
  test("no body makes it fail: 300 by chance", async () => {
    const random = createRandom(13, "otlp");
    const names = [
      "resourceLogs",
      "scopeLogs",
      "logRecords",
      "resource",
      "attributes",
      "key",
      "value",
      "stringValue",
      "intValue",
      "timeUnixNano",
      "severityNumber",
      "eventName",
      "app.crash",
      "session.start",
      "exception.type",
      "app.ota.release",
      "app.installation.id",
    ];
    for (let round = 0; round < 300; round += 1) {
      const body = random.chance(0.5)
        ? anyJson(random, names, 7)
        : logsOf({}, anyJson(random, names), { ...CRASH, attributes: anyJson(random, names) });
      expect([200, 400]).toContain((await post(body)).status);
    }
    expect((await post(logsOf({}, USE))).status).toBe(200);
  });

  test.each<[string, number, string]>([
    ["brackets", 400, `{"resourceLogs":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
    [
      "a body that nests",
      400,
      `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}]}]}]}`,
    ],
    [
      "prototype keys",
      200,
      '{"__proto__":{"resourceLogs":[1]},"resourceLogs":[{"__proto__":{"scopeLogs":[1]}}]}',
    ],
  ])("%s", async (_name, status, body) => {
    expect((await post(body)).status).toBe(status);
    expect(await ingest.stored()).toEqual([]);
  });

  test("an object that can't be made a text or a number is nowhere made one", async () => {
    const odd = { toString: 1, valueOf: 1 };
    const attributes = [
      { key: "exception.type", value: { stringValue: odd, intValue: odd } },
      { key: odd, value: odd },
    ];
    const record = { severityNumber: odd, timeUnixNano: odd, eventName: odd, attributes, body: odd };
    expect((await post(logsOf({}, record, { ...record, eventName: "app.crash" }))).status).toBe(200);
    expect(await ingest.results("otlp")).toEqual({ no_outcome: 1, reported: 1 });
  });

  test("names of devices: 128 characters, emoji, and not one more", async () => {
    for (const device of ["x".repeat(128), "🙂".repeat(64), "__proto__", "x".repeat(129), "a\u0000b"])
      await post(logsOf({ "app.installation.id": device }, USE));
    expect(await ingest.results("otlp")).toEqual({ reported: 3, invalid: 2 });
  });
});
