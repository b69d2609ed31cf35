// How often the stream writer asks Redis how long a stream is: not with every request, but soon enough that the limit is
// kept. On a real Redis, by its own count of commands; the clock is the test's.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { LENGTH_KNOWN_MS, createStreamWriter } from "../../ingest/stream-writer.ts";
import { closeRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { sampleReport } from "../support/ingest-app.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
let nowMs: number;
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
  await redis.config("RESETSTAT");
  nowMs = 1_769_860_800_000;
});

const REPORTS = [sampleReport()] as unknown as readonly DeviceReport[];

function writerOf(streamEntriesMax: number): { readonly write: () => Promise<string> } {
  const writer = createStreamWriter({ redis, shards: 1, streamEntriesMax, clock: () => nowMs });
  return { write: async () => (await writer.write(REPORTS)).kind };
}

async function timesAsked(): Promise<number> {
  return Number(/cmdstat_xlen:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
}

test("a length that is known is not asked for until it is old", async () => {
  const { write } = writerOf(1_000);
  for (let times = 0; times < 10; times += 1) expect(await write()).toBe("written");
  expect(await timesAsked()).toBe(1);
  nowMs += LENGTH_KNOWN_MS - 1;
  await write();
  expect(await timesAsked()).toBe(1);
  nowMs += 1;
  await write();
  expect(await timesAsked()).toBe(2);
});

test("what is added meanwhile is reckoned in: the limit is kept, and not taken for reached while it is not", async () => {
  const { write } = writerOf(5);
  await write();
  await write();
  // The agent takes away what this process has reckoned in.
  await redis.xtrim(reportStream(0), "MAXLEN", 0);
  for (let times = 0; times < 5; times += 1) expect(await write()).toBe("written");
  expect(await write()).toBe("backlog_full");
  expect(await redis.xlen(reportStream(0))).toBe(5);
});

test("a clock that is set back makes it ask again", async () => {
  const { write } = writerOf(1_000);
  await write();
  nowMs -= 1;
  await write();
  expect(await timesAsked()).toBe(2);
});

test("what another process adds is seen when the length is old", async () => {
  const { write } = writerOf(5);
  await write();
  for (let times = 0; times < 4; times += 1) await redis.xadd(reportStream(0), "*", "f", "other");
  nowMs += LENGTH_KNOWN_MS;
  await write();
  expect(await write()).toBe("backlog_full");
});
