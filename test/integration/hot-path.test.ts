// POST /v1/reports is served before Express is asked, and by the same code where Express matches a path that is written in
// another way. Here both answer the same requests, on a real Redis: status, headers, body and what is counted are the same.
import type { RequestListener } from "node:http";
import supertest from "supertest";
import { beforeEach, expect, test } from "vitest";
import type { Registry } from "../../runtime/metrics.ts";
import {
  KIOSK_KEY,
  TILL_KEY,
  createTestIngest,
  sampleReport,
  storedReports,
  toNdjson,
} from "../support/ingest-app.ts";
import { useIngestRedis } from "../support/listening-ingest.ts";

const HOT = "/v1/reports";
const THROUGH_EXPRESS = ["/v1/reports/", "/V1/Reports", "/v1/reports?from=test"];
const BODY_BYTES_MAX = 2_000;

const redis = useIngestRedis();
beforeEach(() => redis().flushall());

interface Sending {
  readonly name: string;
  readonly method?: "get" | "post" | "put" | "head" | "options";
  readonly key?: string | null;
  readonly type?: string;
  readonly body?: string;
  readonly status: number;
}

const GOOD = JSON.stringify(sampleReport());
const SENDINGS: readonly Sending[] = [
  { name: "one report", body: GOOD, status: 202 },
  { name: "a batch with a bad report", body: `[${GOOD},{"app":1}]`, status: 202 },
  { name: "NDJSON", type: "application/x-ndjson", body: toNdjson([sampleReport(), 1]), status: 202 },
  { name: "no key", key: null, body: GOOD, status: 401 },
  { name: "an unknown key", key: "nobody-has-this-key", body: GOOD, status: 401 },
  { name: "another app's key", key: KIOSK_KEY, body: GOOD, status: 403 },
  { name: "another media type", type: "text/plain", body: GOOD, status: 415 },
  { name: "no body", body: "", status: 400 },
  { name: "no JSON", body: "{", status: 400 },
  { name: "no reports", body: "[]", status: 400 },
  { name: "too much", body: `"${"x".repeat(BODY_BYTES_MAX)}"`, status: 413 },
  { name: "another method", method: "get", status: 405 },
  { name: "HEAD", method: "head", status: 405 },
  { name: "OPTIONS", method: "options", status: 405 },
  { name: "PUT", method: "put", body: GOOD, status: 405 },
];

interface Seen {
  readonly status: number;
  readonly text: string | undefined;
  readonly headers: Record<string, unknown>;
  readonly counted: readonly string[];
  readonly stored: number;
}

async function send(path: string, sending: Sending): Promise<Seen> {
  await redis().flushall();
  const { app, registry } = createTestIngest({ redis: redis(), bodyBytesMax: BODY_BYTES_MAX });
  const { method = "post", key = TILL_KEY, type = "application/json", body } = sending;
  let request = agentOf(app)[method](path).set("Content-Type", type);
  if (key !== null) request = request.set("Authorization", `Bearer ${key}`);
  const answer = await request.serialize((value: unknown) => value as string).send(body);
  const { date: _date, ...headers } = answer.headers as Record<string, unknown>;
  return {
    status: answer.status,
    text: answer.text,
    headers,
    counted: await countedBy(registry),
    stored: (await storedReports(redis())).length,
  };
}

function agentOf(app: RequestListener) {
  return supertest(app);
}

/** What is not at zero, but for times. */
async function countedBy(registry: Registry): Promise<string[]> {
  return (await registry.metrics())
    .split("\n")
    .filter((line) => /^(ota_ingest|http_server\S+_count)/.test(line) && !/_max|\s0$/.test(line));
}

test.each(SENDINGS)("$name is answered and counted alike", async (sending) => {
  const hot = await send(HOT, sending);
  expect(hot.status).toBe(sending.status);
  expect(hot.headers).toMatchObject({ "x-content-type-options": "nosniff", "cache-control": "no-store" });
  expect(hot.counted.join("\n")).toContain('route="/v1/reports"');
  expect(hot.stored).toBe(sending.status === 202 ? 1 : 0);
  for (const path of THROUGH_EXPRESS) expect(await send(path, sending)).toEqual(hot);
});

test("whoever sends more than it may is refused alike, from one account", async () => {
  const seen = await Promise.all(
    [HOT, ...THROUGH_EXPRESS].map(async (path) => {
      const { app, registry } = createTestIngest({ redis: redis(), requestsPerSecond: { perAddress: 0.01 } });
      // The one bucket is emptied by way of the others.
      const paths = [...THROUGH_EXPRESS, HOT];
      const answers = [];
      for (let sent = 0; answers.at(-1)?.status !== 429 && sent < 20; sent += 1)
        answers.push(await post(app, paths[sent % paths.length]!));
      const answer = await post(app, path);
      const { date: _date, ...headers } = answer.headers as Record<string, unknown>;
      return { status: answer.status, text: answer.text, headers, counted: await countedBy(registry) };
    }),
  );
  expect(seen[0]).toMatchObject({ status: 429, headers: { "retry-after": expect.any(String) } });
  for (const other of seen) expect(other).toEqual(seen[0]);
});

function post(app: RequestListener, path: string): supertest.Test {
  return agentOf(app)
    .post(path)
    .set("Content-Type", "application/json")
    .set("Authorization", `Bearer ${TILL_KEY}`)
    .send(GOOD);
}

test("what is not this path is not served by it", async () => {
  for (const path of ["/v1/report", "/v1/reports/1", "//v1/reports", "/v1/reports%2f"])
    expect(await send(path, SENDINGS[0]!)).toMatchObject({ status: 404, stored: 0 });
});
