// One shard in a real Redis: what can't be folded is put aside with its reason, a commit is all or
// nothing, reading adapts to the size of the entries, and a changed release is taken off the list only
// when nothing changed in between.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RELEASES_PER_DEVICE_MAX } from "../../agent/health/device-state.ts";
import { RELEASES_PER_CHANNEL_MAX, fold } from "../../agent/health/fold.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { metaKey, releaseTableKey, totalsKey, windowsKey } from "../../agent/health/shard-keys.ts";
import { BATCH_REPORTS_MAX, DEAD_LETTERS_MAX, createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { WINDOW_RETENTION_DAYS } from "../../agent/health/health-window.ts";
import { dropOldWindows } from "../../agent/jobs/retention.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf } from "../support/verdicts.ts";

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
  return foldShard({ store, onChange: () => {}, isStopping: () => false });
}

async function deadReasons(): Promise<string[]> {
  const rows = await redis.xrange(deadLetterStream(0), "-", "+");
  return rows.map(([, fields]) => fields[1]!);
}

function textOf(text: string): string {
  return formatReleaseKey(releaseOf(text));
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

describe("a full table", () => {
  const OTHER = { ...releaseOf("v1"), channel: "beta" as ReleaseKey["channel"] };

  /** Release number `n` was last reported about at second `n`; the highest number is the oldest of all. */
  async function fillTable(): Promise<void> {
    const pipeline = redis.pipeline();
    for (let number = 1; number <= RELEASES_PER_CHANNEL_MAX; number += 1) {
      const last = number === RELEASES_PER_CHANNEL_MAX ? 0 : number * 1_000;
      pipeline.hset(releaseTableKey(0), formatReleaseKey(releaseOf(`v${number}`)), number);
      pipeline.hset(totalsKey(0, number), { last, "4": 1, "9": 1 });
      pipeline.hset(windowsKey(0, number), "0:4", 1);
    }
    // Of another channel: older than everything, and none of this channel's business.
    pipeline.hset(releaseTableKey(0), formatReleaseKey(OTHER), 9_999_999);
    pipeline.hset(totalsKey(0, 9_999_999), { last: 1 });
    await pipeline.exec();
  }

  it("the tenth not reported about for longest leaves, the new release counts, and numbers are fresh", async () => {
    await fillTable();
    await put(told(releaseOf("new")));
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 1, lost: 0 });
    expect(await health().readFoldTotals()).toEqual({ folded: 1, deadLetters: 0 });
    expect((await health().readRelease(releaseOf("new"))).devices.confirmed).toBe(1);

    const table = await redis.hgetall(releaseTableKey(0));
    expect(table[formatReleaseKey(releaseOf("new"))]).toBe("10000000");
    expect(Object.keys(table).length).toBe(RELEASES_PER_CHANNEL_MAX - 1_000 + 2);
    expect(table[formatReleaseKey(OTHER)]).toBe("9999999");
    // Retired: v10000 (last 0) and v1 to v999.
    expect(await redis.hmget(releaseTableKey(0), ...["v10000", "v1", "v999", "v1000"].map(textOf))).toEqual([
      null,
      null,
      null,
      "1000",
    ]);
    expect(await redis.exists(totalsKey(0, 999), windowsKey(0, 999))).toBe(0);
    expect(await redis.exists(totalsKey(0, 1_000), windowsKey(0, 1_000))).toBe(2);
    expect((await health().listDirty()).length).toBe(1_001);
    expect(await redis.hget(metaKey(0), "retired")).toBe("1000");
  });

  it("the row with the highest number stays, however old: its number must not be given again", async () => {
    await fillTable();
    await redis.hdel(releaseTableKey(0), formatReleaseKey(OTHER));
    await put(told(releaseOf("new")));
    await foldAll();
    expect(await redis.hmget(releaseTableKey(0), ...["v10000", "v1000", "v1001", "new"].map(textOf))).toEqual(
      ["10000", null, "1001", "10001"],
    );
  });

  it("a flood of invented versions in one batch makes room once; the rest is put aside", async () => {
    await fillTable();
    const flood = Array.from({ length: 1_500 }, (_, index) =>
      told({ ...releaseOf(`flood${index}`), device: `till-${index}` }),
    );
    await put(...flood);
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 1_500 });
    expect(await health().readFoldTotals()).toEqual({ folded: 1_500, deadLetters: 500 });
    expect(new Set(await deadReasons())).toEqual(new Set(["too_many_releases_on_channel"]));
  });

  it("retires nothing when the cursor has moved: somebody may have counted one of them", async () => {
    await fillTable();
    await redis.hset(metaKey(0), "cursor", "9-9");
    await createShardStore({ redis, shard: 0 }).retireReleases("0-0", TILL);
    expect(await redis.hlen(releaseTableKey(0))).toBe(RELEASES_PER_CHANNEL_MAX + 1);
    expect(await redis.exists(totalsKey(0, 1))).toBe(1);
    expect(await health().listDirty()).toEqual([]);
  });

  it("a batch that was read before others made room is not committed: its counts would have no row", async () => {
    await fillTable();
    await put(told(releaseOf("v1")));
    const store = createShardStore({ redis, shard: 0 });
    const batch = (await store.readBatch())!;
    const releaseTable = await store.readReleaseTable(batch.cursor);
    const plan = fold({
      reports: batch.reports,
      releaseTable,
      stateOf: await store.readStates(batch.reports),
    });
    await createShardStore({ redis, shard: 0 }).retireReleases(batch.cursor, TILL);

    expect(await store.commit(batch, plan, releaseTable)).toBe("cursor_moved");
    expect(await redis.exists(totalsKey(0, 1))).toBe(0);
    // Read anew, the release gets a new row and is counted there.
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 1 });
    expect((await health().readRelease(releaseOf("v1"))).devices.confirmed).toBe(1);
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
  it("takes releases whose counts did not change, and keeps what folding marks meanwhile", async () => {
    const store = createShardStore({ redis, shard: 0 });
    await put(told());
    await foldAll(store);
    for (const one of await health().listDirty()) await health().clearDirty(one);
    await health().markDirty([releaseOf("1.4.0"), releaseOf("1.3.0")]);
    const marked = await health().listDirty();
    expect(marked.map(({ release }) => release.version).toSorted()).toEqual(["1.3.0", "1.4.0"]);
    await put(told({ device: "till-2" }));
    await foldAll(store);
    for (const one of marked) await health().clearDirty(one);
    expect((await health().listDirty()).map(({ release }) => release.version)).toEqual(["1.4.0"]);
  });

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
