// Counting against a naive model, on a real Redis: whatever is reported, in whatever order, batch and
// repetition, with agents that race for the same shards and die before or after a commit, the counts are
// those of the set of reports.
import * as fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fold } from "../../agent/health/fold.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { metaKey } from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { EVENTS } from "../../ingest/contract/device-report.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import type { AppId, Channel, Version } from "../../ingest/contract/release-key.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { createNaiveCounts, readCounts } from "../support/naive-counts.ts";
import type { ToldReport } from "../support/naive-counts.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const SHARDS = 3;
const NOW_MS = Date.UTC(2026, 0, 31, 12, 2);

let server: TestRedis;
let redis: Redis;
let otherRedis: Redis;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  otherRedis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await Promise.all([redis.quit(), otherRedis.quit()]);
  await server.stop();
});

const hostileDevice = fc.oneof(
  fc.constantFrom(
    "😀",
    "{lg:0}",
    "a|b|c",
    'quote"back\\slash',
    "ü".normalize("NFC"),
    "ü".normalize("NFD"),
    "x".repeat(128),
    "__proto__",
    "0",
    " ",
    "\u202Eright-to-left",
  ),
  fc.integer({ min: 1, max: 12 }).map((index) => `till-${index}`),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }),
);
const report: fc.Arbitrary<ToldReport> = fc.record({
  app: fc.constantFrom("com.acme.till", "com.acme.kiosk").map((app) => app as AppId),
  channel: fc.constantFrom("production", "beta").map((channel) => channel as Channel),
  version: fc.constantFrom("1.3.0", "1.4.0", "1.4.0-rc.1+{7}", "v'[%]").map((text) => text as Version),
  device: hostileDevice,
  event: fc.constantFrom(...EVENTS),
  // Twelve minutes: three or four slots, with their edges.
  at: fc.integer({ min: -12 * 60_000, max: 0 }).map((agoMs) => NOW_MS + agoMs),
});

/** What an agent does when it is its turn. */
type Step =
  /** Folds whatever waits in a shard, alone. */
  | "fold"
  /** Both agents fold at the same moment. */
  | "race"
  /** Reads and dies before the commit. */
  | "die_before_commit"
  /** Commits, dies before it has heard so, and is sent again. */
  | "commit_twice"
  /** Reads, lets the other agent fold meanwhile, and then commits. */
  | "commit_late";
interface Turn {
  readonly shard: number;
  readonly agent: number;
  readonly kind: Step;
}
const turn: fc.Arbitrary<Turn> = fc.record({
  shard: fc.nat(SHARDS - 1),
  agent: fc.nat(1),
  kind: fc.constantFrom<Step>("fold", "race", "die_before_commit", "commit_twice", "commit_late"),
});
const history = fc.record({
  reports: fc.array(report, { minLength: 1, maxLength: 120 }),
  /** Indexes of reports that are sent once more, later. */
  again: fc.array(fc.nat(), { maxLength: 60 }),
  shuffleSeed: fc.nat(),
  requestSizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
  turns: fc.array(turn, { minLength: 4, maxLength: 24 }),
});

interface Agents {
  readonly stores: readonly (readonly ShardStore[])[];
  readonly health: HealthStore;
}

function createAgents(): Agents {
  const storesOf = (connection: Redis): ShardStore[] =>
    Array.from({ length: SHARDS }, (_, shard) => createShardStore({ redis: connection, shard }));
  return {
    stores: [storesOf(redis), storesOf(otherRedis)],
    health: createHealthStore({ redis, shards: SHARDS }),
  };
}

async function foldAll(store: ShardStore): Promise<void> {
  await foldShard({ store, onChange: () => {}, isStopping: () => false });
}

async function plan(store: ShardStore) {
  const batch = await store.readBatch();
  if (batch === undefined) return undefined;
  const releaseTable = await store.readReleaseTable(batch.cursor);
  const stateOf = await store.readStates(batch.reports);
  return { batch, plan: fold({ reports: batch.reports, releaseTable, stateOf }), releaseTable };
}

async function take({ stores }: Agents, { shard, agent, kind }: Turn): Promise<void> {
  const store = stores[agent]![shard]!;
  const other = stores[1 - agent]![shard]!;
  if (kind === "fold") return foldAll(store);
  if (kind === "race") {
    await Promise.all([foldAll(store), foldAll(other)]);
    return;
  }
  const planned = await plan(store);
  if (planned === undefined || kind === "die_before_commit") return;
  if (kind === "commit_late") await foldAll(other);
  const first = await store.commit(planned.batch, planned.plan, planned.releaseTable);
  expect(first).toBe(kind === "commit_late" ? "cursor_moved" : "committed");
  if (kind === "commit_twice")
    expect(await store.commit(planned.batch, planned.plan, planned.releaseTable)).toBe("cursor_moved");
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const keyed = list.map((value, index) => ({
    value,
    key: Math.imul(index + 1, 2_654_435_761 ^ seed) >>> 0,
  }));
  return keyed.toSorted((left, right) => left.key - right.key).map(({ value }) => value);
}

test("counts are those of the set of reports", async () => {
  await fc.assert(
    fc.asyncProperty(history, async ({ reports, again, shuffleSeed, requestSizes, turns }) => {
      await redis.flushall();
      const writer = createStreamWriter({
        redis,
        shards: SHARDS,
        streamEntriesMax: 100_000,
        clock: () => NOW_MS,
      });
      const model = createNaiveCounts();
      const agents = createAgents();
      const sent = shuffled(
        [...reports, ...again.map((index) => reports[index % reports.length]!)],
        shuffleSeed,
      );
      const waitingTurns = [...turns];
      for (let start = 0, request = 0; start < sent.length; request += 1) {
        const size = requestSizes[request % requestSizes.length]!;
        const batch = sent.slice(start, start + size);
        start += size;
        expect((await writer.write(batch)).kind).toBe("written");
        batch.forEach((told) => model.tell(told));
        const next = waitingTurns.shift();
        if (next !== undefined) await take(agents, next);
      }
      for (const next of waitingTurns) await take(agents, next);
      for (let shard = 0; shard < SHARDS; shard += 1) await foldAll(agents.stores[shard % 2]![shard]!);

      expect(await readCounts(agents.health)).toEqual(model.counts());
      await expectAllFolded(agents.health, sent.length);
      const dirty = (await agents.health.listDirty()).map(({ release }) => Object.values(release).join("|"));
      expect(dirty.toSorted()).toEqual(Object.keys(model.counts()).toSorted());
    }),
    { numRuns: 400, seed: 20_260_131, endOnFailure: false },
  );
}, 60_000);

async function expectAllFolded(health: HealthStore, reports: number): Promise<void> {
  expect(await health.readFoldTotals()).toEqual({ folded: reports, deadLetters: 0 });
  for (let shard = 0; shard < SHARDS; shard += 1) {
    expect(await redis.xlen(reportStream(shard))).toBe(0);
    expect(await redis.exists(deadLetterStream(shard))).toBe(0);
    const [cursor, lastId] = await Promise.all([
      redis.hget(metaKey(shard), "cursor"),
      lastGeneratedId(shard),
    ]);
    expect(cursor ?? "0-0").toBe(lastId);
  }
}

async function lastGeneratedId(shard: number): Promise<string> {
  if ((await redis.exists(reportStream(shard))) === 0) return "0-0";
  const info = (await redis.call("XINFO", "STREAM", reportStream(shard))) as unknown[];
  return String(info[info.indexOf("last-generated-id") + 1]);
}
