// Sending requests on: tried again where that may help, bounded in number and bytes, and stopped in time.
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  FORWARDS_AT_ONCE_MAX,
  QUEUE_BYTES_MAX_DEFAULT,
  QUEUE_MAX_DEFAULT,
  STOP_MS_MAX,
  createForwarder,
} from "../../ingest/forwarding/forwarder.ts";
import type { Forwarder, ForwarderOptions } from "../../ingest/forwarding/forwarder.ts";
import { FORWARD_RESULTS } from "../../ingest/metrics.ts";
import { sleep, systemClock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { createRegistry } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { sampleOf } from "../support/ingest-app.ts";
import { waitUntil } from "../support/wait-until.ts";

let upstream: CodePushUpstream;
let forwarder: Forwarder;
let registry: Registry;
let whys: string[];

beforeEach(async () => {
  upstream = await startCodePushUpstream();
  whys = [];
  registry = createRegistry({ process: "test", version: "0.0.0" });
});

afterEach(async () => {
  await upstream.stop();
  await forwarder.stop();
});

function create(options: Partial<ForwarderOptions> = {}): Forwarder {
  const logger = { warn: ({ why }: { why: string }) => void whys.push(why) } as unknown as Logger;
  return (forwarder = createForwarder({
    name: "codepush",
    queueMax: 100,
    queueBytesMax: 1_000,
    attemptsMax: 3,
    timeoutMs: 5_000,
    clock: systemClock,
    logger,
    registry,
    ...options,
  }));
}

const offer = (body = "b"): void =>
  forwarder.offer({ url: `${upstream.url}/x`, headers: { via: "1.1 a" }, body: Buffer.from(body) });
const results = async (source = "codepush"): Promise<Record<string, number | undefined>> =>
  Object.fromEntries(
    await Promise.all(
      FORWARD_RESULTS.map(async (result) => [
        result,
        await sampleOf(registry, `ota_ingest_forwarded_total{source="${source}",result="${result}"}`),
      ]),
    ),
  );
const gotten = (count: number): Promise<number> =>
  waitUntil(
    () => upstream.got.length,
    (got) => got >= count,
    8_000,
  );

test("what failed is tried again, and what was refused is not", async () => {
  create();
  let answers = 0;
  upstream.answerWith((_request, response) => {
    answers += 1;
    response.statusCode = answers < 3 ? 503 : 200;
    response.end();
  });
  offer("first");
  await gotten(3);
  expect(upstream.got.map(({ body }) => body.toString())).toEqual(["first", "first", "first"]);
  expect(upstream.got[0]).toMatchObject({ method: "POST", url: "/x", headers: { via: "1.1 a" } });
  expect(whys).toEqual([]);
  upstream.answerWith((_request, response) => void response.writeHead(400).end());
  offer();
  await waitUntil(
    () => whys,
    ({ length }) => length === 1,
  );
  expect([whys, upstream.got.length]).toEqual([["refused"], 4]);
  expect(await results()).toEqual({ sent: 1, dropped_full: 0, given_up: 0, refused: 1 });
});

test("after the last attempt it is given up", async () => {
  create({ attemptsMax: 2 });
  upstream.answerWith((_request, response) => void response.writeHead(500).end());
  offer();
  await waitUntil(
    () => whys,
    ({ length }) => length === 1,
  );
  expect([whys, upstream.got.length]).toEqual([["given_up"], 2]);
});

test("what the server asks for by Retry-After holds for every request", async () => {
  create();
  let answers = 0;
  const atMs: number[] = [];
  upstream.answerWith((_request, response) => {
    atMs.push(performance.now());
    answers += 1;
    response.writeHead(answers === 1 ? 429 : 200, answers === 1 ? { "Retry-After": "2" } : {}).end();
  });
  offer("first");
  await gotten(1);
  // Its answer has to arrive.
  await sleep(200);
  offer("second");
  await gotten(3);
  expect(atMs[1]! - atMs[0]!).toBeGreaterThanOrEqual(1_900);
  expect(
    upstream.got
      .slice(1)
      .map(({ body }) => body.toString())
      .toSorted(),
  ).toEqual(["first", "second"]);
});

test.each([408, 429, 500, 503])("%i is tried again", async (status) => {
  create({ attemptsMax: 2 });
  let answers = 0;
  upstream.answerWith((_request, response) => {
    answers += 1;
    response.writeHead(answers === 1 ? status : 204).end();
  });
  offer();
  await gotten(2);
  await forwarder.stop();
  expect(await results()).toMatchObject({ sent: 1, refused: 0 });
});

test.each([301, 307, 400, 401, 404, 413])("%i is not, and no redirect is followed", async (status) => {
  create();
  upstream.answerWith(
    (_request, response) => void response.writeHead(status, { Location: `${upstream.url}/elsewhere` }).end(),
  );
  offer();
  await waitUntil(results, ({ refused }) => refused === 1);
  expect(upstream.got).toHaveLength(1);
});

test("a server that is not there, an address that is none and headers that can't be sent throw nothing", async () => {
  create({ attemptsMax: 1 });
  await upstream.stop();
  offer();
  forwarder.offer({ url: "no address", headers: {}, body: Buffer.alloc(0) });
  forwarder.offer({ url: upstream.url, headers: { "bad name": "a\r\nb" }, body: Buffer.alloc(0) });
  expect(await waitUntil(results, ({ given_up }) => given_up === 3)).toMatchObject({ sent: 0, refused: 0 });
});

test("forwarders of one process count side by side", async () => {
  create();
  offer();
  const other = createForwarder({
    name: "capgo",
    attemptsMax: 1,
    timeoutMs: 1_000,
    clock: systemClock,
    logger: { warn: () => {} } as unknown as Logger,
    registry,
  });
  other.offer({ url: `${upstream.url}/other`, headers: {}, body: Buffer.from("o") });
  await gotten(2);
  await Promise.all([forwarder.stop(), other.stop()]);
  expect([(await results()).sent, (await results("capgo")).sent]).toEqual([1, 1]);
});

test("a server that asks to wait holds up nothing that goes to another", async () => {
  create();
  const other = await startCodePushUpstream();
  try {
    upstream.answerWith((_request, response) => void response.writeHead(503, { "Retry-After": "30" }).end());
    for (let index = 0; index < FORWARDS_AT_ONCE_MAX * 2; index += 1) offer();
    await gotten(FORWARDS_AT_ONCE_MAX);
    forwarder.offer({ url: `${other.url}/y`, headers: {}, body: Buffer.from("o") });
    await waitUntil(
      () => other.got.length,
      (got) => got === 1,
    );
    expect(await waitUntil(results, ({ sent }) => sent === 1)).toMatchObject({
      dropped_full: 0,
      given_up: 0,
    });
  } finally {
    await other.stop();
  }
});

test("after a stop nothing is taken, not even for a server that was never sent to", async () => {
  create();
  await forwarder.stop();
  offer();
  await sleep(50);
  expect([upstream.got.length, (await results()).dropped_full]).toEqual([0, 1]);
});

test.each([
  ["requests", Buffer.from("b"), QUEUE_MAX_DEFAULT],
  ["bytes", Buffer.alloc(QUEUE_BYTES_MAX_DEFAULT), 1],
])("by default so many %s wait", async (_what, body, held) => {
  forwarder = createForwarder({
    name: "codepush",
    attemptsMax: 1,
    timeoutMs: 5_000,
    clock: systemClock,
    logger: { warn: () => {} } as unknown as Logger,
    registry,
  });
  upstream.answerWith(() => {});
  for (let index = 0; index < held; index += 1) forwarder.offer({ url: upstream.url, headers: {}, body });
  expect((await results()).dropped_full).toBe(0);
  forwarder.offer({ url: upstream.url, headers: {}, body: Buffer.from("b") });
  expect((await results()).dropped_full).toBe(1);
});

test.each([
  ["requests", { queueMax: 10 }, "b", 10],
  ["bytes", { queueBytesMax: 30 }, "abc", 10],
])("no more than so many %s are held", async (_what, limits, body, held) => {
  create(limits);
  const open: (() => void)[] = [];
  upstream.answerWith((_request, response) => void open.push(() => response.end()));
  for (let index = 0; index < held; index += 1) offer(body);
  expect(whys).toEqual([]);
  offer(body);
  expect(whys).toEqual(["dropped_full"]);
  await gotten(FORWARDS_AT_ONCE_MAX);
  expect(upstream.got).toHaveLength(FORWARDS_AT_ONCE_MAX);
  upstream.answerWith((_request, response) => void response.end());
  for (const answer of open) answer();
  await gotten(held);
  await forwarder.stop();
  expect(upstream.got).toHaveLength(held);
});

test("a stop tries what waits once more, and does not wait for a server that hangs", async () => {
  create();
  for (let index = 0; index < 20; index += 1) offer();
  await forwarder.stop();
  expect(upstream.got).toHaveLength(20);
  offer();
  expect(whys).toEqual(["dropped_full"]);
  create();
  upstream.answerWith(() => {});
  offer();
  const startedAt = performance.now();
  await forwarder.stop();
  expect(performance.now() - startedAt).toBeLessThan(STOP_MS_MAX + 2_000);
});
