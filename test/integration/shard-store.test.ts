// One shard in a real Redis: what can't be folded is put aside with its reason, a commit is all or nothing and
// holds only at the revision that was read, reading adapts to the size of the entries, and a changed release is
// taken off the list only when nothing changed in between.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { encodeCounts } from "../../agent/health/count-vector.ts";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { RELEASES_PER_DEVICE_MAX } from "../../agent/health/device-state.ts";
import { nameDevice } from "../../agent/health/device-table.ts";
import type { FoldPlan } from "../../agent/health/fold-plan.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import {
  BATCH_REPORTS_MAX,
  ENTRIES_PER_READ,
  UNDECODABLE_CHARS_MAX,
} from "../../agent/health/report-batch.ts";
import { DEAD_LETTERS_MAX } from "../../agent/health/shard-commit.ts";
import {
  countsKey,
  deviceBucketKey,
  fineKey,
  metaKey,
  tableKey,
  windowsKey,
} from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { Batch, ShardStore } from "../../agent/health/shard-store.ts";
import { RELEASES_PER_CHANNEL_MAX } from "../../agent/health/shard-tables.ts";
import { foldShard, planOf } from "../../agent/jobs/fold-shard.ts";
import { dropUnseenDevices } from "../../agent/jobs/retention.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { addToSlot } from "../../agent/health/windows.ts";
import { fieldsOfPayload } from "../../agent/intake/dead-letter.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import type { Redis } from "../../runtime/redis.ts";
import { emptyRedis, listKeys, startRedisOfEitherKind } from "../support/redis-kinds.ts";
import type { RedisOfEitherKind } from "../support/redis-kinds.ts";
import { TILL, releaseOf, version } from "../support/verdicts.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const RULES = DEFAULT_COUNTING_RULES;

let server: RedisOfEitherKind;
let redis: Redis;
beforeAll(async () => {
  server = await startRedisOfEitherKind();
  redis = await server.connect();
});
afterAll(() => server.stop());
beforeEach(() => emptyRedis(redis));

function told(fields: Partial<AcceptedReport> = {}): AcceptedReport {
  return { ...releaseOf("1.4.0"), device: "till-1", event: "confirmed", atMs: NOW_MS, ...fields };
}

async function put(...reports: AcceptedReport[]): Promise<void> {
  await redis.xadd(reportStream(0), "*", ...encodeReportEntry({ receivedAtMs: NOW_MS, reports }));
}

/** As another agent has it: nothing is remembered. */
function openStore(): ShardStore {
  return createShardStore({ redis, shard: 0 });
}

async function foldAll(store: ShardStore = openStore(), nowMs = NOW_MS) {
  return foldShard({
    store,
    rules: RULES,
    onChange: () => {},
    isStopping: () => false,
    nowMs: () => nowMs,
    heardFromMs: () => Promise.resolve(0),
  });
}

/** All of a fold but its commit. */
async function readAndPlan(store: ShardStore): Promise<{ batch: Batch; plan: FoldPlan }> {
  const batch = (await store.readBatch(await store.readPosition()))!;
  return { batch, plan: await planOf(batch, { store, rules: RULES }) };
}

/** Everything that Redis holds; two of them are equal when nothing was written in between. */
async function dump(): Promise<Record<string, string | undefined>> {
  const keys = await listKeys(redis, "*");
  const values = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
  return Object.fromEntries(keys.map((key, index) => [key, values[index]?.toString("base64")]));
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

  it("an entry that is no text is put aside byte for byte", async () => {
    const fields = ["f", "\uFFFD", "r", Buffer.from([0xff, 0x00, 0x80, 0xc3])].map((one) => Buffer.from(one));
    await redis.xadd(reportStream(0), "*", ...fields);
    await redis.xadd(reportStream(0), "*", "f", "a real \uFFFD");
    await foldAll();
    const rows = await redis.xrange(deadLetterStream(0), "-", "+");
    const kept = rows.map(([, row]) => fieldsOfPayload(row[3]!)?.map((one) => Buffer.from(one)));
    expect(kept).toEqual([fields, [Buffer.from("f"), Buffer.from("a real \uFFFD")]]);
  });

  it("releases beyond what a device may have are put aside with the report, for each such report once", async () => {
    const released = RELEASES_PER_DEVICE_MAX + 2;
    await put(...Array.from({ length: released }, (_, index) => told(releaseOf(`v${index}`))));
    await foldAll();
    expect(await deadReasons()).toEqual(["too_many_releases_on_device", "too_many_releases_on_device"]);
    expect(await health().readFoldTotals()).toEqual({ folded: released, deadLetters: 2 });
    expect((await health().listReleases()).length).toBe(RELEASES_PER_DEVICE_MAX);
  });

  it("reports of a device whose state can't be read are put aside; the shard goes on with the other devices", async () => {
    await put(told({ event: "installed" }), told({ event: "installed", device: "till-2" }));
    await foldAll();
    const { bucket, field } = nameDevice(TILL.app, "till-1");
    const name = Buffer.from(field, "latin1");
    await redis.hset(deviceBucketKey(0, bucket), name, Buffer.from([1, 2, 3]));
    await put(told(), told({ device: "till-2" }), told({ event: "active" }));
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 3, lost: 0 });
    expect(await deadReasons()).toEqual(["unreadable_device_state", "unreadable_device_state"]);
    expect((await health().readRelease(releaseOf("1.4.0"))).devices).toMatchObject({ confirmed: 1 });
    expect(await redis.xlen(reportStream(0))).toBe(0);
    // Silence and retention pass it by as well.
    const later = { redis, store: openStore(), isStopping: () => false };
    const nowMs = NOW_MS + 100 * 24 * 3_600_000;
    await foldAll(later.store, nowMs);
    await dropUnseenDevices({ ...later, nowMs, retentionMs: 90 * 24 * 3_600_000 });
    expect((await health().readRelease(releaseOf("1.4.0"))).devices).toMatchObject({ silent: 0, running: 0 });
    expect(await redis.hlen(deviceBucketKey(0, bucket))).toBe(1);
    // Without the state the device is a new one, and its letters can be counted.
    await redis.hdel(deviceBucketKey(0, bucket), name);
    const [[, letter]] = (await redis.xrange(deadLetterStream(0), "-", "+")) as [[string, string[]]];
    await redis.xadd(reportStream(0), "*", ...fieldsOfPayload(letter[3]!)!);
    await foldAll();
    expect((await health().readRelease(releaseOf("1.4.0"))).devices).toMatchObject({ confirmed: 2 });
  });

  it("entries that can't be decoded are put aside in several commits when they are large", async () => {
    const large = "x".repeat(UNDECODABLE_CHARS_MAX / 2 - 10);
    for (let index = 0; index < 5; index += 1) await redis.xadd(reportStream(0), "*", "f", "99", "r", large);
    const store = openStore();
    const batch = (await store.readBatch(await store.readPosition()))!;
    expect(batch.deadLetters).toHaveLength(3);
    expect(await foldAll(store)).toMatchObject({ batches: 2 });
    expect((await health().readFoldTotals()).deadLetters).toBe(5);
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
  const COUNTED = encodeCounts([0, 0, 0, 0, 1]);
  const WINDOWS = addToSlot(undefined, new Map([[0, [0, 0, 0, 0, 1]]]));
  const OTHER = { ...releaseOf("v1"), channel: "beta" as ReleaseKey["channel"] };

  /** Release number `n` was last reported about at second `n`; the highest number is the oldest of all. */
  async function fillTable(): Promise<void> {
    const pipeline = redis.pipeline();
    for (let number = 1; number <= RELEASES_PER_CHANNEL_MAX; number += 1) {
      const last = number === RELEASES_PER_CHANNEL_MAX ? 0 : number * 1_000;
      pipeline.hset(tableKey(0, "releases"), formatReleaseKey(releaseOf(`v${number}`)), number);
      pipeline.hset(countsKey(0, number), { last, total: COUNTED });
      pipeline.hset(windowsKey(0, number), "1:4", WINDOWS);
    }
    // Of another channel: older than everything, and none of this channel's business.
    pipeline.hset(tableKey(0, "releases"), formatReleaseKey(OTHER), 9_999_999);
    pipeline.hset(countsKey(0, 9_999_999), { last: 1 });
    await pipeline.exec();
  }

  it("the tenth not reported about for longest leaves, the new release counts, and numbers are fresh", async () => {
    await fillTable();
    await put(told(releaseOf("new")));
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 1, lost: 0 });
    expect(await health().readFoldTotals()).toEqual({ folded: 1, deadLetters: 0 });
    expect((await health().readRelease(releaseOf("new"))).devices.confirmed).toBe(1);

    const table = await redis.hgetall(tableKey(0, "releases"));
    expect(table[formatReleaseKey(releaseOf("new"))]).toBe("10000000");
    expect(Object.keys(table).length).toBe(RELEASES_PER_CHANNEL_MAX - 1_000 + 2);
    expect(table[formatReleaseKey(OTHER)]).toBe("9999999");
    // Retired: v10000 (last 0) and v1 to v999.
    expect(
      await redis.hmget(tableKey(0, "releases"), ...["v10000", "v1", "v999", "v1000"].map(textOf)),
    ).toEqual([null, null, null, "1000"]);
    expect(await redis.exists(countsKey(0, 999), windowsKey(0, 999))).toBe(0);
    expect(await redis.exists(countsKey(0, 1_000), windowsKey(0, 1_000))).toBe(2);
    expect((await health().listDirty()).length).toBe(1_001);
  });

  it("the row with the highest number stays, however old: its number must not be given again", async () => {
    await fillTable();
    await redis.hdel(tableKey(0, "releases"), formatReleaseKey(OTHER));
    await put(told(releaseOf("new")));
    await foldAll();
    expect(
      await redis.hmget(tableKey(0, "releases"), ...["v10000", "v1000", "v1001", "new"].map(textOf)),
    ).toEqual(["10000", null, "1001", "10001"]);
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

  it("retires nothing when the revision is another: somebody may have counted one of them", async () => {
    await fillTable();
    await redis.hset(metaKey(0), "revision", "of another agent");
    const before = await dump();
    await openStore().retireReleases("of this agent", TILL);
    expect(await dump()).toEqual(before);
  });

  it("a batch that was read before others made room is not committed: its counts would have no row", async () => {
    await fillTable();
    await put(told(releaseOf("v1")));
    const store = openStore();
    const { batch, plan } = await readAndPlan(store);
    await openStore().retireReleases(batch.position.revision, TILL);

    expect(await store.commitBatch(batch, plan)).toBe("conflict");
    expect(await redis.exists(countsKey(0, 1))).toBe(0);
    // Read anew, the release gets a new row and is counted there.
    expect(await foldAll()).toMatchObject({ batches: 1, reports: 1 });
    expect((await health().readRelease(releaseOf("v1"))).devices.confirmed).toBe(1);
  });

  it("room that could not be made, because others wrote, is made at the next try: no report is put aside", async () => {
    await fillTable();
    await redis.sadd(fineKey(0), 999);
    await put(told(releaseOf("new")));
    const store = openStore();
    let others = 1;
    const overtaken: ShardStore = {
      ...store,
      async retireReleases(revision, key) {
        // Anything that commits without folding.
        if (others-- > 0) await rollUp();
        return store.retireReleases(revision, key);
      },
    };
    expect(await foldAll(overtaken)).toMatchObject({ batches: 1, reports: 1 });
    expect(await health().readFoldTotals()).toEqual({ folded: 1, deadLetters: 0 });
    expect((await health().readRelease(releaseOf("new"))).devices.confirmed).toBe(1);
    expect(others).toBe(-1);
  });
});

async function rollUp(): Promise<number> {
  return rollUpShard({ redis, shard: 0, nowMs: NOW_MS, which: "fine", isStopping: () => false });
}

describe("a commit", () => {
  it("writes nothing at all when the revision is another", async () => {
    await put(told());
    const store = openStore();
    const { batch, plan } = await readAndPlan(store);
    await redis.hset(metaKey(0), "revision", "of another agent");
    const before = await dump();
    expect(await store.commitBatch(batch, plan)).toBe("conflict");
    expect(await store.commitVisit(batch.position.revision, plan)).toBe("conflict");
    expect(await dump()).toEqual(before);
    expect(Object.keys(before)).toEqual([metaKey(0), reportStream(0)].toSorted());
  });

  it("twice is once: the revision is over with the first", async () => {
    await put(told());
    const store = openStore();
    const { batch, plan } = await readAndPlan(store);
    expect(await store.commitBatch(batch, plan)).toBe("committed");
    const after = await dump();
    for (const again of [store, openStore()]) expect(await again.commitBatch(batch, plan)).toBe("conflict");
    expect(await dump()).toEqual(after);
  });

  it("of two agents that have read the same one wins, and all is counted once", async () => {
    await put(told(), told({ device: "till-2" }));
    const stores = [openStore(), openStore()];
    const read = await Promise.all(stores.map(readAndPlan));
    const results = await Promise.all(
      read.map(({ batch, plan }, index) => stores[index]!.commitBatch(batch, plan)),
    );
    expect(results.toSorted()).toEqual(["committed", "conflict"]);
    expect((await health().readRelease(releaseOf("1.4.0"))).devices.confirmed).toBe(2);
    expect(await health().readFoldTotals()).toEqual({ folded: 2, deadLetters: 0 });
  });

  it("in between by others, though the cursor stays, makes a batch be read again", async () => {
    await put(told({ atMs: NOW_MS - 4 * 3_600_000 }));
    await foldAll();
    await put(told({ device: "till-2", atMs: NOW_MS - 4 * 3_600_000 }));
    const store = openStore();
    const { batch, plan } = await readAndPlan(store);
    expect(await rollUp()).toBeGreaterThan(0);
    expect(await store.commitBatch(batch, plan)).toBe("conflict");
    expect(await foldAll(store)).toMatchObject({ batches: 1, lost: 0 });
    expect((await health().readRelease(releaseOf("1.4.0"))).devices.confirmed).toBe(2);
  });

  it("by agents that take turns gives no number twice", async () => {
    const stores = [openStore(), openStore()];
    for (let turn = 0; turn < 6; turn += 1) {
      const stratum = { platform: `platform-${turn}`, reason: `reason-${turn}` };
      await put(told({ ...releaseOf(`v${turn}`), device: `till-${turn}`, event: "reverted", ...stratum }));
      await foldAll(stores[turn % 2]);
    }
    for (const table of ["releases", "strata", "reasons"] as const)
      expect((await redis.hvals(tableKey(0, table))).toSorted()).toEqual(["1", "2", "3", "4", "5", "6"]);
    for (let turn = 0; turn < 6; turn += 1) {
      const { strata, reasons } = await health().readDetail(releaseOf(`v${turn}`));
      expect([...strata.keys()]).toEqual([JSON.stringify([`platform-${turn}`, "", "", ""])]);
      expect([...reasons]).toEqual([[`reason-${turn}`, 1]]);
    }
  });

  it("leaves entries alone that came after its batch was read", async () => {
    await put(told());
    const store = openStore();
    const { batch, plan } = await readAndPlan(store);
    await put(told({ device: "till-2" }));
    expect(await store.commitBatch(batch, plan)).toBe("committed");
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
    const store = openStore();
    const batch = (await store.readBatch(await store.readPosition()))!;
    expect(batch.reports.length).toBe(Math.ceil(BATCH_REPORTS_MAX / 999) * 999);
    // More waits behind it.
    const [[lastId] = []] = await redis.xrevrange(reportStream(0), "+", "-", "COUNT", 1);
    expect(batch.nextCursor).not.toBe(lastId);
    expect((await foldAll()).reports).toBe(9 * 999);
  });

  it("reads a page of entries at a time: large ones behind small ones don't fill the memory", async () => {
    const asked: unknown[] = [];
    const watched = new Proxy(redis, {
      get(target, name) {
        if (name !== "multi") return Reflect.get(target, name) as unknown;
        return () => {
          const transaction = target.multi();
          const xrange = transaction.xrange.bind(transaction);
          return Object.assign(transaction, {
            xrange(key: string, start: string, end: string, word: "COUNT", count: number) {
              asked.push(count);
              return xrange(key, start, end, word, count);
            },
          });
        };
      },
    });
    for (let index = 0; index < 2 * ENTRIES_PER_READ; index += 1)
      await put(told({ device: `small-${index}` }));
    for (let entry = 0; entry < 20; entry += 1)
      await put(...Array.from({ length: 500 }, (_, index) => told({ device: `${entry}-${index}` })));
    const store = createShardStore({ redis: watched, shard: 0 });
    const batch = (await store.readBatch(await store.readPosition()))!;
    // All small ones, and large ones up to the limit.
    expect(batch.reports.length).toBe(2 * ENTRIES_PER_READ + 9 * 500);
    expect(batch.reports.length).toBe(BATCH_REPORTS_MAX);
    expect(asked).toEqual([ENTRIES_PER_READ, ENTRIES_PER_READ, ENTRIES_PER_READ]);
    await foldAll(store);
    expect(await redis.xlen(reportStream(0))).toBe(0);
  });
});

it("thousands of new releases in one commit don't stop the shard: a script takes more arguments than a function", async () => {
  const releases = 6_000;
  const all = Array.from({ length: releases }, (_, index) =>
    told({
      device: `till-${index}`,
      version: version(`1.${index}`),
      platform: `p${index}`,
      reason: `r${index}`,
    }),
  );
  for (let start = 0; start < releases; start += 1_000) await put(...all.slice(start, start + 1_000));
  expect(await foldAll()).toMatchObject({ reports: releases, lost: 0 });
  expect((await health().listReleases()).length).toBe(releases);
});

describe("the list of changed releases", () => {
  it("takes releases whose counts did not change, and keeps what folding marks meanwhile", async () => {
    const store = openStore();
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
    const store = openStore();
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
