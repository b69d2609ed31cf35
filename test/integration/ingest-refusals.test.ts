// POST /v1/reports against a real Redis: every bad input has its own code and leaves the streams as they
// were, and a body can't take more memory than the limit.
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { gzip, gzipSync } from "node:zlib";
import type { RequestListener } from "node:http";
import supertest from "supertest";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { REPORTS_PER_REQUEST_MAX } from "../../ingest/contract/device-report.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import {
  KIOSK_KEY,
  TILL_KEY,
  createTestIngest,
  manyReports,
  reportOfBytes,
  sampleOf,
  sampleReport,
  sendReports,
  storedEntries,
  toNdjson,
} from "../support/ingest-app.ts";
import type { Sent } from "../support/ingest-app.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const MIB = 1024 ** 2;
const BODY_BYTES_MAX = 5 * MIB;

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
  ({ app, registry } = createTestIngest({ redis, bodyBytesMax: BODY_BYTES_MAX }));
});

const send = (body: unknown, sent?: Sent): ReturnType<typeof sendReports> => sendReports(app, body, sent);

interface BadInput {
  readonly name: string;
  readonly body: unknown;
  readonly sent?: Sent;
  readonly status: number;
  readonly code: string;
  readonly detail?: RegExp;
}

const deeplyNested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

const BAD_INPUTS: readonly BadInput[] = [
  { name: "malformed JSON", body: '{"app": ', status: 400, code: "malformed_json" },
  {
    name: "JSON that is not UTF-8",
    body: Buffer.from([0x22, 0xff, 0x22]),
    status: 400,
    code: "malformed_json",
  },
  { name: "only spaces", body: "   ", status: 400, code: "malformed_json" },
  { name: "JSON null", body: "null", status: 400, code: "invalid_report" },
  {
    name: "a JSON number",
    body: "42",
    status: 400,
    code: "invalid_report",
    detail: /must be an object, not a number/,
  },
  { name: "an empty object", body: {}, status: 400, code: "invalid_report", detail: /"app" is missing/ },
  {
    name: "a device that is a number",
    body: sampleReport({ device: 5 }),
    status: 400,
    code: "invalid_report",
    detail: /"device" must be a string, not a number/,
  },
  {
    name: "a null field",
    body: sampleReport({ from: null }),
    status: 400,
    code: "invalid_report",
    detail: /"from" must be a string, not null/,
  },
  {
    name: "an empty device",
    body: sampleReport({ device: "" }),
    status: 400,
    code: "invalid_report",
    detail: /"device" must not be empty/,
  },
  {
    name: "a device of 129 characters",
    body: sampleReport({ device: "d".repeat(129) }),
    status: 400,
    code: "invalid_report",
    detail: /at most 128/,
  },
  {
    name: "a device with a line break",
    body: sampleReport({ device: "a\nb" }),
    status: 400,
    code: "invalid_report",
    detail: /control characters/,
  },
  {
    name: "a version with a space",
    body: sampleReport({ version: "1 2" }),
    status: 400,
    code: "invalid_report",
    detail: /"version": /,
  },
  {
    name: "an app with a bar",
    body: sampleReport({ app: "a|b" }),
    status: 400,
    code: "invalid_report",
    detail: /"app": /,
  },
  {
    name: "a crash that is a text",
    body: sampleReport({ crash: "boom" }),
    status: 400,
    code: "invalid_report",
    detail: /"crash" must be an object, not a string/,
  },
  {
    name: "a crash fingerprint of 129 characters",
    body: sampleReport({ crash: { fingerprint: "f".repeat(129) } }),
    status: 400,
    code: "invalid_report",
    detail: /"crash.fingerprint"/,
  },
  {
    name: "no event",
    body: sampleReport({ event: undefined }),
    status: 400,
    code: "invalid_report",
    detail: /"event" is missing/,
  },
  {
    name: "an event that is a number",
    body: sampleReport({ event: 1 }),
    status: 400,
    code: "invalid_report",
  },
  {
    name: "an unknown event",
    body: sampleReport({ event: "exploded" }),
    status: 400,
    code: "unknown_event",
    detail: /"exploded" is no event/,
  },
  {
    name: "an event called __proto__",
    body: sampleReport({ event: "__proto__" }),
    status: 400,
    code: "unknown_event",
  },
  {
    name: "a time that is a word",
    body: sampleReport({ at: "yesterday" }),
    status: 400,
    code: "invalid_time",
    detail: /RFC 3339/,
  },
  {
    name: "a time without a zone",
    body: sampleReport({ at: "2026-01-31T12:00:00" }),
    status: 400,
    code: "invalid_time",
  },
  {
    name: "the 30th of February",
    body: sampleReport({ at: "2026-02-30T12:00:00Z" }),
    status: 400,
    code: "invalid_time",
  },
  {
    name: "a time beyond what a date can be",
    body: sampleReport({ at: 8.64e15 + 2 }),
    status: 400,
    code: "invalid_time",
  },
  { name: "a time that is true", body: sampleReport({ at: true }), status: 400, code: "invalid_time" },
  { name: "an unknown app", body: sampleReport({ app: "com.acme.tills" }), status: 400, code: "unknown_app" },
  {
    name: "an unknown channel",
    body: sampleReport({ channel: "prod" }),
    status: 400,
    code: "unknown_channel",
  },
  {
    name: "a channel of another app",
    body: sampleReport({ channel: "stable" }),
    status: 400,
    code: "unknown_channel",
  },
  {
    name: "a key of another app",
    body: sampleReport(),
    sent: { key: KIOSK_KEY },
    status: 403,
    code: "key_for_another_app",
  },
  {
    name: "an unknown app with a good key",
    body: sampleReport({ app: "toString" }),
    sent: { key: KIOSK_KEY },
    status: 400,
    code: "unknown_app",
  },
  {
    name: "no key",
    body: sampleReport(),
    sent: { key: undefined },
    status: 401,
    code: "missing_credentials",
  },
  { name: "a blank key", body: sampleReport(), sent: { key: " " }, status: 401, code: "missing_credentials" },
  {
    name: "an unknown key",
    body: sampleReport(),
    sent: { key: "nobodys-key" },
    status: 401,
    code: "unknown_key",
  },
  { name: "an empty body", body: "", status: 400, code: "empty_body" },
  {
    name: "an empty body that says gzip",
    body: "",
    sent: { encoding: "gzip" },
    status: 400,
    code: "empty_body",
  },
  {
    name: "gzip of nothing",
    body: gzipSync(""),
    sent: { encoding: "gzip" },
    status: 400,
    code: "empty_body",
  },
  { name: "an empty array", body: "[]", status: 400, code: "empty_batch" },
  {
    name: "NDJSON of blank lines",
    body: "\n\r\n \n",
    sent: { type: "application/x-ndjson" },
    status: 400,
    code: "empty_batch",
  },
  {
    name: "a form",
    body: "app=1",
    sent: { type: "application/x-www-form-urlencoded" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "a media type called __proto__",
    body: "{}",
    sent: { type: "__proto__" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "UTF-16",
    body: sampleReport(),
    sent: { type: "application/json; charset=utf-16" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "brotli",
    body: sampleReport(),
    sent: { encoding: "br" },
    status: 415,
    code: "unsupported_encoding",
  },
  {
    name: "gzip twice",
    body: gzipSync(gzipSync("{}")),
    sent: { encoding: "gzip, gzip" },
    status: 415,
    code: "unsupported_encoding",
  },
  {
    name: "text that says gzip",
    body: sampleReport(),
    sent: { encoding: "gzip" },
    status: 400,
    code: "malformed_gzip",
  },
  {
    name: "gzip cut off",
    body: gzipSync(JSON.stringify(sampleReport())).subarray(0, -9),
    sent: { encoding: "gzip" },
    status: 400,
    code: "malformed_gzip",
  },
  {
    name: "gzip with a wrong checksum",
    body: withWrongChecksum(gzipSync(JSON.stringify(sampleReport()))),
    sent: { encoding: "gzip" },
    status: 400,
    code: "malformed_gzip",
  },
  {
    name: "one byte more than the limit",
    body: reportOfBytes(BODY_BYTES_MAX + 1),
    status: 413,
    code: "body_too_large",
  },
  {
    name: "one byte more than the limit once inflated",
    body: gzipSync(reportOfBytes(BODY_BYTES_MAX + 1)),
    sent: { encoding: "gzip" },
    status: 413,
    code: "body_too_large",
  },
  {
    name: "10,001 reports in an array",
    body: manyReports(REPORTS_PER_REQUEST_MAX + 1),
    status: 413,
    code: "too_many_reports",
  },
  {
    name: "10,001 reports in NDJSON",
    body: toNdjson(manyReports(REPORTS_PER_REQUEST_MAX + 1)),
    sent: { type: "application/x-ndjson" },
    status: 413,
    code: "too_many_reports",
  },
];

function withWrongChecksum(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[changed.length - 8]! ^= 0xff;
  return changed;
}

describe("what is refused leaves the streams untouched", () => {
  test.each(BAD_INPUTS)("$name: $status $code", async ({ body, sent, status, code, detail }) => {
    const before = await storedEntries(redis);
    const answer = await send(body, sent);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(answer.body).toMatchObject({ code, status, type: `urn:lastgood:problem:${code}` });
    expect(answer.body.detail).toMatch(detail ?? /\w/);
    expect(await storedEntries(redis)).toBe(before);
    expect(await sampleOf(registry, `ota_ingest_requests_refused_total{code="${code}"}`)).toBe(1);
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="accepted"}')).toBe(0);
  });

  // The last was found by the fuzzer: what asks for the length of a text got this one, and comparing it ended the stack.
  test.each([
    ["alone", deeplyNested],
    ["in a field", `{"crash":${deeplyNested}}`],
    [
      "as a length",
      JSON.stringify(sampleReport({ model: { length: "deep" } })).replace('"deep"', deeplyNested),
    ],
  ])("JSON nested a hundred thousand deep, %s, is refused before anything walks it", async (_name, body) => {
    const answer = await send(body).expect(400);
    expect(answer.body).toMatchObject({ code: "malformed_json", detail: expect.stringMatching(/64 deep/) });
    expect(await storedEntries(redis)).toBe(0);
  });

  test("401 names the scheme, 415 the encodings that are taken, 405 the method", async () => {
    const noKey = await send(sampleReport(), { key: undefined });
    expect(noKey.headers["www-authenticate"]).toBe('Bearer realm="lastgood"');
    const badKey = await send(sampleReport(), { key: "nobodys-key" });
    expect(badKey.headers["www-authenticate"]).toMatch(/error="invalid_token"/);
    const brotli = await send(sampleReport(), { encoding: "br" });
    expect(brotli.headers["accept-encoding"]).toBe("gzip, identity");
    const get = await supertest(app).get("/v1/reports").expect(405);
    expect(get.headers["allow"]).toBe("POST");
    expect(get.body.code).toBe("method_not_allowed");
  });

  test("another path is not_found", async () => {
    const answer = await supertest(app).post("/v2/reports").expect(404);
    expect(answer.body.code).toBe("not_found");
  });

  test("a key is never echoed", async () => {
    const answer = await send(sampleReport(), { key: "nobodys-key" });
    expect(JSON.stringify(answer.body)).not.toContain("nobodys-key");
  });
});

describe("bodies that attack memory", () => {
  test("a gzip bomb of 1 GiB is cut at the limit, not inflated", async () => {
    // Many members of one gzip stream: 16 x 64 MiB of zeros in about a megabyte.
    const member = await promisify(gzip)(Buffer.alloc(64 * MIB), { level: 9 });
    const bomb = Buffer.concat(Array.from({ length: 16 }, () => member));
    expect(bomb.length).toBeLessThan(BODY_BYTES_MAX);
    const before = memoryBytes();
    let peak = before;
    const watch = setInterval(() => void (peak = Math.max(peak, memoryBytes())), 1);
    const startedAt = performance.now();
    const answer = await send(bomb, { encoding: "gzip" });
    clearInterval(watch);
    expect(answer.body.code).toBe("body_too_large");
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(peak - before).toBeLessThan(64 * MIB);
    expect(await storedEntries(redis)).toBe(0);
  });

  test("a body without a length is cut at the limit while it is still being sent", async () => {
    const answer = await sendEndlessly();
    expect(answer).toEqual({ status: 413, code: "body_too_large" });
  });
});

function memoryBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Sends chunks until an answer comes, which it must before the body ends. */
async function sendEndlessly(): Promise<{ status: number | undefined; code: string }> {
  const listening = createServer(app).listen(0, "127.0.0.1");
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  const answer = await new Promise<{ status: number | undefined; code: string }>((resolve, reject) => {
    const sending = httpRequest({
      port,
      host: "127.0.0.1",
      path: "/v1/reports",
      method: "POST",
      headers: { Authorization: `Bearer ${TILL_KEY}`, "Content-Type": "application/json" },
    });
    const chunk = Buffer.alloc(MIB, " ");
    const more = (): void => {
      if (!sending.destroyed) sending.write(chunk, () => setImmediate(more));
    };
    sending.on("error", reject).on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => void (text += part));
      response.on("end", () => {
        sending
          .off("error", reject)
          .on("error", () => {})
          .destroy();
        resolve({ status: response.statusCode, code: (JSON.parse(text) as { code: string }).code });
      });
    });
    more();
  });
  await new Promise<void>((resolve) => void listening.close(() => resolve()));
  return answer;
}
