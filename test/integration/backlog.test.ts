// A backlog: what ingest acknowledged is counted, however long it waited; a full stream answers 503 and takes
// nothing; and a stream is trimmed only behind its cursor, at every instant that anybody looks.
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import type { FoldResult } from "../../agent/jobs/fold-shard.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis as RequestRedis } from "../../runtime/redis.ts";
import { compareStreamIds, lookAtStream, sendBacklog } from "../support/backlog.ts";
import { TEST_SHARDS, createTestIngest, sampleOf, sendReports } from "../support/ingest-app.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { releaseOf } from "../support/verdicts.ts";

/** Few: reports that come in together are one entry. */
const STREAM_ENTRIES_MAX = 30;
const DEVICES = 500;
const EVENTS = ["update_started", "installed", "confirmed"] as const;
const SENDERS = 20;

let server: TestRedis;
let redis: Redis;
let redisOfIngest: RequestRedis;

beforeEach(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  const logger = createLogger({ name: "test", level: "silent" });
  redisOfIngest = createRedis({ url: server.url, role: "request", logger });
  await waitUntilReady(redisOfIngest, 5_000);
});

afterEach(async () => {
  await Promise.all([redis.quit(), closeRedis(redisOfIngest)]);
  await server.stop();
});

it("a full stream refuses over HTTP, and all that was acknowledged is counted, to the last report", async () => {
  const { app, registry } = createTestIngest({ redis: redisOfIngest, streamEntriesMax: STREAM_ENTRIES_MAX });
  const write = async (reports: readonly DeviceReport[]) => {
    const { status, body, headers } = await sendReports(app, reports);
    if (status === 202) return "written";
    expect({ status, code: (body as { code: string }).code }).toEqual({ status: 503, code: "backlog_full" });
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    return "backlog_full";
  };
  let done = false;
  const isDone = (): boolean => done;
  const release = releaseOf("1.4.0");
  const sending = sendBacklog({ release, devices: DEVICES, events: EVENTS, senders: SENDERS, write });
  const watching = watchStreams(isDone);

  // Nobody folds yet: every stream must stop at its limit, and stay there.
  let lengths: number[] = [];
  for (let same = 0; same < 5;) {
    await sleep(100);
    const now = (await lookAtAll()).map(({ entries }) => entries);
    same = now.join() === lengths.join() && Math.max(...now) >= STREAM_ENTRIES_MAX ? same + 1 : 0;
    lengths = now;
  }
  // Requests that run at the same moment may overshoot, each by one entry.
  expect(Math.max(...lengths)).toBeLessThan(STREAM_ENTRIES_MAX + SENDERS);

  const stores = Array.from({ length: TEST_SHARDS }, (_, shard) => createShardStore({ redis, shard }));
  const folding = stores.map(async (store) => {
    while (!isDone()) {
      await foldAll(store);
      await sleep(10);
    }
  });
  const sent = await sending;
  done = true;
  await Promise.all([watching, ...folding]);
  for (const store of stores) await foldAll(store);

  expect(sent.acknowledged).toBe(DEVICES * EVENTS.length);
  expect(sent.refused).toBeGreaterThan(0);
  expect(await sampleOf(registry, 'ota_ingest_reports_total{result="backlog_full"}')).toBe(sent.refused);
  const health = createHealthStore({ redis, shards: TEST_SHARDS });
  expect((await health.readRelease(release)).devices).toMatchObject({
    update_started: DEVICES,
    installed: DEVICES,
    confirmed: DEVICES,
    attempted: DEVICES,
    failed: 0,
  });
  expect(await health.readFoldTotals()).toEqual({ folded: sent.acknowledged, deadLetters: 0 });
  expect((await lookAtAll()).map(({ entries }) => entries)).toEqual(Array(TEST_SHARDS).fill(0));
});

function foldAll(store: ShardStore): Promise<FoldResult> {
  return foldShard({
    store,
    rules: DEFAULT_COUNTING_RULES,
    onChange: () => {},
    isStopping: () => false,
    nowMs: Date.now,
    heardFromMs: () => Promise.resolve(0),
  });
}

function lookAtAll() {
  return Promise.all(Array.from({ length: TEST_SHARDS }, (_, shard) => lookAtStream(redis, shard)));
}

async function watchStreams(isDone: () => boolean): Promise<void> {
  const before = new Map<number, string>();
  let looks = 0;
  while (!isDone()) {
    for (const [shard, { cursor, firstId }] of (await lookAtAll()).entries()) {
      expect(compareStreamIds(firstId, cursor)).toBeGreaterThan(0);
      expect(compareStreamIds(cursor, before.get(shard) ?? "0-0")).toBeGreaterThanOrEqual(0);
      before.set(shard, cursor);
    }
    looks += 1;
    await sleep(2);
  }
  expect(looks).toBeGreaterThan(50);
}
