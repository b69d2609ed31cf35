// Reads what folding has counted, over all shards: the health of a release, which releases changed since
// they were last evaluated, and how far folding is behind. Integers only; nothing is derived here.
import { formatReleaseKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { HealthWindow, ReleaseHealth } from "./health-window.ts";
import { OUTCOMES, toOutcomeCounts } from "./outcomes.ts";
import { dirtyKey, metaKey, releaseTableKey, totalsKey, windowsKey } from "./shard-keys.ts";

const CLEAR_DIRTY = loadLuaScript(new URL("./lua/clear-dirty.lua", import.meta.url));

/** A release whose counts changed, with the cursor of each shard at which they did. */
export interface DirtyRelease {
  readonly release: ReleaseKey;
  readonly cursors: ReadonlyMap<number, string>;
}

export interface ShardLag {
  readonly shard: number;
  readonly waitingEntries: number;
  /** Age of the oldest entry that is not folded yet, in seconds; 0 when none waits. */
  readonly lagSeconds: number;
}

export interface HealthStore {
  readRelease(release: ReleaseKey): Promise<ReleaseHealth>;
  readWindows(release: ReleaseKey): Promise<HealthWindow[]>;
  listReleases(): Promise<ReleaseKey[]>;
  listDirty(): Promise<DirtyRelease[]>;
  clearDirty(dirty: DirtyRelease): Promise<void>;
  /** Has releases evaluated though no count of theirs changed: the policy may have. */
  markDirty(releases: readonly ReleaseKey[]): Promise<void>;
  readLag(nowMs: number): Promise<ShardLag[]>;
  /** Reports folded and dead letters made since the beginning, over all shards. */
  readFoldTotals(): Promise<{ readonly folded: number; readonly deadLetters: number }>;
}

export function createHealthStore({ redis, shards }: { redis: Redis; shards: number }): HealthStore {
  const shardNumbers = Array.from({ length: shards }, (_, shard) => shard);
  const onEachShard = <T>(read: (shard: number) => Promise<T>): Promise<T[]> =>
    Promise.all(shardNumbers.map(read));

  /** Where a release's hashes are: the shards that know it, with its number there. */
  const locate = async (release: ReleaseKey): Promise<{ shard: number; releaseNumber: number }[]> => {
    const text = formatReleaseKey(release);
    const found = await onEachShard((shard) => redis.hget(releaseTableKey(shard), text));
    return found.flatMap((releaseNumber, shard) =>
      releaseNumber === null ? [] : [{ shard, releaseNumber: Number(releaseNumber) }],
    );
  };

  return {
    async readRelease(release) {
      const places = await locate(release);
      const rows = await Promise.all(
        places.map(({ shard, releaseNumber }) => redis.hgetall(totalsKey(shard, releaseNumber))),
      );
      return sumTotals(release, rows);
    },
    async readWindows(release) {
      const places = await locate(release);
      const rows = await Promise.all(
        places.map(({ shard, releaseNumber }) => redis.hgetall(windowsKey(shard, releaseNumber))),
      );
      return sumWindows(rows);
    },
    async listReleases() {
      const names = await onEachShard((shard) => redis.hkeys(releaseTableKey(shard)));
      return [...new Set(names.flat())].map(parseReleaseKey);
    },
    async listDirty() {
      const rows = await onEachShard((shard) => redis.hgetall(dirtyKey(shard)));
      const cursors = new Map<string, Map<number, string>>();
      for (const [shard, row] of rows.entries()) {
        for (const [text, cursor] of Object.entries(row)) {
          const ofRelease = cursors.get(text) ?? new Map<number, string>();
          cursors.set(text, ofRelease.set(shard, cursor));
        }
      }
      return [...cursors].map(([text, ofRelease]) => ({
        release: parseReleaseKey(text),
        cursors: ofRelease,
      }));
    },
    async clearDirty({ release, cursors }) {
      const text = formatReleaseKey(release);
      await Promise.all(
        [...cursors].map(([shard, cursor]) => CLEAR_DIRTY.run(redis, [dirtyKey(shard)], [text, cursor])),
      );
    },
    async markDirty(releases) {
      const pipeline = redis.pipeline();
      for (const release of releases) pipeline.hsetnx(dirtyKey(0), formatReleaseKey(release), "start");
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    },
    readLag: (nowMs) => onEachShard((shard) => readShardLag(redis, shard, nowMs)),
    async readFoldTotals() {
      const rows = await onEachShard((shard) => redis.hmget(metaKey(shard), "folded", "dead"));
      const sum = (position: 0 | 1): number =>
        rows.reduce((total, row) => total + Number(row[position] ?? 0), 0);
      return { folded: sum(0), deadLetters: sum(1) };
    },
  };
}

function sumTotals(release: ReleaseKey, rows: readonly Readonly<Record<string, string>>[]): ReleaseHealth {
  const sum = (field: string): number => rows.reduce((total, row) => total + Number(row[field] ?? 0), 0);
  const newest = (field: string): number =>
    rows.reduce((latest, row) => Math.max(latest, Number(row[field] ?? 0)), 0);
  const firsts = rows.map((row) => Number(row["first"] ?? 0)).filter((first) => first > 0);
  return {
    release,
    devices: toOutcomeCounts(OUTCOMES.map((_, index) => sum(String(index)))),
    firstReportAtMs: firsts.length === 0 ? 0 : Math.min(...firsts),
    lastReportAtMs: newest("last"),
    lastFailureAtMs: newest("failure"),
  };
}

function sumWindows(rows: readonly Readonly<Record<string, string>>[]): HealthWindow[] {
  const windows = new Map<number, number[]>();
  for (const row of rows) {
    for (const [field, value] of Object.entries(row)) {
      const [slot, index] = field.split(":").map(Number) as [number, number];
      const counts = windows.get(slot) ?? OUTCOMES.map(() => 0);
      counts[index]! += Number(value);
      windows.set(slot, counts);
    }
  }
  return [...windows]
    .map(([slotMinute, counts]) => ({ slotMinute, devices: toOutcomeCounts(counts) }))
    .toSorted((left, right) => left.slotMinute - right.slotMinute);
}

async function readShardLag(redis: Redis, shard: number, nowMs: number): Promise<ShardLag> {
  const cursor = (await redis.hget(metaKey(shard), "cursor")) ?? "0-0";
  const [waitingEntries, oldest] = await Promise.all([
    redis.xlen(reportStream(shard)),
    redis.xrange(reportStream(shard), `(${cursor}`, "+", "COUNT", 1),
  ]);
  const oldestId = oldest[0]?.[0];
  if (oldestId === undefined) return { shard, waitingEntries: 0, lagSeconds: 0 };
  return { shard, waitingEntries, lagSeconds: Math.max(0, (nowMs - Number(oldestId.split("-")[0])) / 1_000) };
}
