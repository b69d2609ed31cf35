// Sending requests on: tried again where that may help, bounded in number and bytes, and stopped in time.
import { afterEach, beforeEach, expect, test } from "vitest";
import { FORWARDS_AT_ONCE_MAX, STOP_MS_MAX, createForwarder } from "../../ingest/forwarding/forwarder.ts";
import type { Forwarder, ForwarderOptions } from "../../ingest/forwarding/forwarder.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { createRegistry } from "../../runtime/metrics.ts";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { waitUntil } from "../support/wait-until.ts";

let upstream: CodePushUpstream;
let forwarder: Forwarder;
let whys: string[];

beforeEach(async () => {
  upstream = await startCodePushUpstream();
  whys = [];
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
    registry: createRegistry({ process: "test", version: "0.0.0" }),
    ...options,
  }));
}

const offer = (body = "b"): void =>
  forwarder.offer({ url: `${upstream.url}/x`, headers: { via: "1.1 a" }, body: Buffer.from(body) });
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
});

test("after the last attempt it is given up", async () => {
  create({ attemptsMax: 2 });
  upstream.answerWith((_request, response) => void response.writeHead(500).end());
  offer();
  await waitUntil(
    () => whys,
    ({ length }) => length === 1,
  );
  expect([whys, upstream.got.length]).toEqual([["not reached"], 2]);
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
  expect(whys).toEqual(["queue full"]);
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
  expect(whys).toEqual(["queue full"]);
  create();
  upstream.answerWith(() => {});
  offer();
  const startedAt = performance.now();
  await forwarder.stop();
  expect(performance.now() - startedAt).toBeLessThan(STOP_MS_MAX + 2_000);
});
