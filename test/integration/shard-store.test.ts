// One shard in a real Redis: what can't be folded is put aside with its reason, a commit is all or
// nothing, reading adapts to the size of the entries, and a changed release is taken off the list only
// when nothing changed in between.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RELEASES_PER_DEVICE_MAX } from "../../agent/health/device-state.ts";
import { fold } from "../../agent/health/fold.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { metaKey } from "../../agent/health/shard-keys.ts";
import { BATCH_REPORTS_MAX, DEAD_LETTERS_MAX, createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { WINDOW_RETENTION_DAYS } from "../../agent/health/health-window.ts";
import { dropOldWindows } from "../../agent/jobs/retention.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { releaseOf } from "../support/verdicts.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => void (await redis.flushall()));

function told(fields: Partial<AcceptedReport> = {}): AcceptedReport {
  return { ...releaseOf("1.4.0"), device: "till-1", event: "confirmed", atMs: NOW_MS, ...fields };
}

async function put(...reports: AcceptedReport[]): Promise<void> {
  await redis.xadd(reportStream(0), "*", ...encodeReportEntry({ receivedAtMs: NOW_MS, reports }));
}

async function foldAll(store: ShardStore = createShardStore({ redis, shard: 0 })) {
  return foldShard({ store, onChange: () => Promise.resolve(), isStopping: () => false });
}

async function deadReasons(): Promise<string[]> {
  const rows = await redis.xrange(deadLetterStream(0), "-", "+");
  return rows.map(([, fields]) => fields[1]!);
}

const health = () => createHealthStore({ redis, shards: 1 });

describe("what can't be folded", () => {
  it("an entry nobody can read is put aside with the reason and all its fields, and the next is folded", async () => {
    await redis.xadd(reportStream(0), "*", "f", "99", "t", "1", "r", "[]");
    await redis.xadd(reportStream(0), "*", "hello", "world");
    await put(told());
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 1, lost: 0 });
    expect(await health().readFoldTotals()).toEqual({ folded: 1, deadLetters: 2 });
    const rows = await redis.xrange(deadLetterStream(0), "-", "+");
    expect(rows[0]![1]).toEqual(["reason", 'unknown entry format "99"', "payload", expect.any(String)]);
    expect(JSON.parse(rows[1]![1][3]!)).toMatchObject({ fields: ["hello", "world"] });
    expect(await redis.xlen(reportStream(0))).toBe(0);
  });

  it("releases beyond what a device may have are put aside with the report, for each such report once", async () => {
    const released = RELEASES_PER_DEVICE_MAX + 2;
    await put(...Array.from({ length: released }, (_, index) => told(releaseOf(`v${index}`))));
    await foldAll();
    expect(await deadReasons()).toEqual(["too_many_releases_on_device", "too_many_releases_on_device"]);
    expect(await health().readFoldTotals()).toEqual({ folded: released, deadLetters: 2 });
    expect((await health().listReleases()).length).toBe(RELEASES_PER_DEVICE_MAX);
  });

  it("keeps about DEAD_LETTERS_MAX letters and goes on counting them", async () => {
    const entries = DEAD_LETTERS_MAX + 1_000;
    const pipeline = redis.pipeline();
    for (let index = 0; index < entries; index += 1) pipeline.xadd(reportStream(0), "*", "f", "99");
    await pipeline.exec();
    await foldAll();
    const kept = await redis.xlen(deadLetterStream(0));
    // Redis trims `~`: whole nodes of a hundred entries.
    expect(kept).toBeGreaterThanOrEqual(DEAD_LETTERS_MAX);
    expect(kept).toBeLessThanOrEqual(DEAD_LETTERS_MAX + 200);
    expect((await health().readFoldTotals()).deadLetters).toBe(entries);
  });
});

describe("a commit", () => {
  it("writes nothing at all when the cursor has moved", async () => {
    await put(told());
    const store = createShardStore({ redis, shard: 0 });
    const batch = (await store.readBatch())!;
    const table = await store.readReleaseTable(batch.cursor);
    const plan = fold({ reports: batch.reports, releaseTable: table, stateOf: () => undefined });
    await redis.hset(metaKey(0), "cursor", "9-9");
    expect(await store.commit(batch, plan, table)).toBe("cursor_moved");
    expect((await redis.keys("*")).toSorted()).toEqual([metaKey(0), reportStream(0)].toSorted());
    expect(await redis.hgetall(metaKey(0))).toEqual({ cursor: "9-9" });
    expect(await redis.xlen(reportStream(0))).toBe(1);
  });

  it("leaves entries alone that came after its batch was read", async () => {
    await put(told());
    const store = createShardStore({ redis, shard: 0 });
    const batch = (await store.readBatch())!;
    await put(told({ device: "till-2" }));
    const table = await store.readReleaseTable(batch.cursor);
    const stateOf = await store.readStates(batch.reports);
    const plan = fold({ reports: batch.reports, releaseTable: table, stateOf });
    expect(await store.commit(batch, plan, table)).toBe("committed");
    expect(await redis.xlen(reportStream(0))).toBe(1);
    expect(await health().readLag(NOW_MS)).toMatchObject([{ shard: 0, waitingEntries: 1 }]);
    await foldAll(store);
    expect((await health().readRelease(releaseOf("1.4.0"))).devices.confirmed).toBe(2);
    expect(await health().readLag(NOW_MS)).toEqual([{ shard: 0, waitingEntries: 0, lagSeconds: 0 }]);
  });
});

describe("reading", () => {
  it("takes about BATCH_REPORTS_MAX reports, never a part of an entry", async () => {
    for (let entry = 0; entry < 9; entry += 1)
      await put(...Array.from({ length: 999 }, (_, index) => told({ device: `${entry}-${index}` })));
    const batch = (await createShardStore({ redis, shard: 0 }).readBatch())!;
    expect(batch.reports.length).toBe(Math.ceil(BATCH_REPORTS_MAX / 999) * 999);
    expect(batch.hasMore).toBe(true);
    expect((await foldAll()).reports).toBe(9 * 999);
  });

  it("asks for fewer entries as soon as entries grow: it must not fetch thousands to fold five", async () => {
    const asked: number[] = [];
    const watched = new Proxy(redis, {
      get(target, name) {
        if (name !== "xrange") return Reflect.get(target, name) as unknown;
        return (key: string, start: string, end: string, word: "COUNT", count: number) => {
          asked.push(count);
          return target.xrange(key, start, end, word, count);
        };
      },
    });
    for (let index = 0; index < 200; index += 1) await put(told({ device: `small-${index}` }));
    for (let entry = 0; entry < 60; entry += 1)
      await put(...Array.from({ length: 500 }, (_, index) => told({ device: `${entry}-${index}` })));
    await foldAll(createShardStore({ redis: watched, shard: 0 }));
    const mostAt = asked.indexOf(Math.max(...asked));
    expect(asked[mostAt]).toBeGreaterThan(200);
    // One read that still takes small entries, and then it knows.
    expect(Math.max(...asked.slice(mostAt + 2))).toBeLessThanOrEqual(20);
    expect(await redis.xlen(reportStream(0))).toBe(0);
  });
});

describe("the list of changed releases", () => {
  it("is cleared for what was read, and keeps what changed since", async () => {
    const store = createShardStore({ redis, shard: 0 });
    await put(told(), told(releaseOf("1.3.0")));
    await foldAll(store);
    const dirty = await health().listDirty();
    expect(dirty.map(({ release }) => release.version).toSorted()).toEqual(["1.3.0", "1.4.0"]);
    await put(told({ device: "till-2" }));
    await foldAll(store);
    for (const one of dirty) await health().clearDirty(one);
    expect((await health().listDirty()).map(({ release }) => release.version)).toEqual(["1.4.0"]);
  });
});

describe("retention", () => {
  it("drops windows older than the limit, to the minute, and no total", async () => {
    const oldestMs = NOW_MS - WINDOW_RETENTION_DAYS * 86_400_000;
    await put(
      told({ device: "old", atMs: oldestMs - 1 }),
      told({ device: "edge", atMs: oldestMs }),
      told({ device: "new" }),
    );
    await foldAll();
    // `confirmed` and `attempted` of one slot.
    expect(await dropOldWindows({ redis, shards: 1, nowMs: NOW_MS })).toBe(2);
    expect(await dropOldWindows({ redis, shards: 1, nowMs: NOW_MS })).toBe(0);
    const slots = (await health().readWindows(releaseOf("1.4.0"))).map(({ slotMinute }) => slotMinute);
    expect(slots).toEqual([oldestMs / 60_000, NOW_MS / 60_000]);
    expect((await health().readRelease(releaseOf("1.4.0"))).devices.attempted).toBe(3);
  });
});
