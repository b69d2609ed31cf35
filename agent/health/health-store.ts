// Reads what folding has counted, over all shards: the health of a release, which releases changed since
// they were last evaluated, and how far folding is behind. Integers only; nothing is derived here.
import { formatReleaseKey, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import { firstDueMinute } from "./deadline-index.ts";
import type { FirstContacts, HealthWindow, ReleaseDetail, ReleaseHealth } from "./health-window.ts";
import { createHistoryReader } from "./history-reader.ts";
import type { HistoryChoice } from "./history-reader.ts";
import { createIncidentReader } from "./incident-reader.ts";
import type { IncidentReader } from "./incident-reader.ts";
import type { ReleaseHistory } from "./release-history.ts";
import { readDetail, readFirstContacts, readTotals } from "./release-counts.ts";
import type { ReleasePlace } from "./release-counts.ts";
import { ALL_WINDOWS, collectWindows, streamWindows } from "./release-windows.ts";
import type { WindowChoice } from "./release-windows.ts";
import { dirtyKey, metaKey, tableKey } from "./shard-keys.ts";

const CLEAR_DIRTY = loadLuaScript(new URL("./lua/clear-dirty.lua", import.meta.url));

/** A release whose counts changed, with the revision of each shard at which they did. */
export interface DirtyRelease {
  readonly release: ReleaseKey;
  readonly revisions: ReadonlyMap<number, string>;
}

export interface ShardLag {
  readonly shard: number;
  readonly waitingEntries: number;
  /** Age of the oldest entry that is not folded yet, in seconds; 0 when none waits. */
  readonly lagSeconds: number;
}

export interface HealthStore extends IncidentReader {
  readRelease(release: ReleaseKey): Promise<ReleaseHealth>;
  readDetail(release: ReleaseKey): Promise<ReleaseDetail>;
  readFirstContacts(release: ReleaseKey): Promise<FirstContacts>;
  /** By time, then by stratum. Without a choice all there are, which may be hundreds of thousands: then stream them. */
  readWindows(release: ReleaseKey, choice?: Partial<WindowChoice>): Promise<HealthWindow[]>;
  /** The same, slot by slot, in the memory of a few slots. */
  streamWindows(release: ReleaseKey, choice: WindowChoice): AsyncIterable<readonly HealthWindow[]>;
  /** All windows, as objects that stay the same until they change. */
  readHistory(release: ReleaseKey, choice?: Partial<HistoryChoice>): Promise<ReleaseHistory>;
  listReleases(): Promise<ReleaseKey[]>;
  listDirty(): Promise<DirtyRelease[]>;
  clearDirty(dirty: DirtyRelease): Promise<void>;
  /** Has releases evaluated though no count of theirs changed: the policy may have. */
  markDirty(releases: readonly ReleaseKey[]): Promise<void>;
  /** Shards in which a deadline of some device has passed. */
  listDueShards(nowMs: number): Promise<number[]>;
  readLag(nowMs: number): Promise<ShardLag[]>;
  /** Reports folded and dead letters made since the beginning, over all shards. */
  readFoldTotals(): Promise<{ readonly folded: number; readonly deadLetters: number }>;
}

export function createHealthStore({ redis, shards }: { redis: Redis; shards: number }): HealthStore {
  const shardNumbers = Array.from({ length: shards }, (_, shard) => shard);
  const onEachShard = <T>(read: (shard: number) => Promise<T>): Promise<T[]> =>
    Promise.all(shardNumbers.map(read));

  /** Where a release's hashes are: the shards that know it, with its number there. */
  const locate = async (release: ReleaseKey): Promise<ReleasePlace[]> => {
    const text = formatReleaseKey(release);
    const found = await onEachShard((shard) => redis.hget(tableKey(shard, "releases"), text));
    return found.flatMap((releaseNumber, shard) =>
      releaseNumber === null ? [] : [{ shard, releaseNumber: Number(releaseNumber) }],
    );
  };

  const histories = createHistoryReader({ redis, locate });

  return {
    readRelease: async (release) => readTotals(redis, release, await locate(release)),
    readDetail: async (release) => readDetail(redis, await locate(release)),
    readFirstContacts: async (release) => readFirstContacts(redis, await locate(release)),
    readWindows: async (release, choice) =>
      collectWindows(streamWindows(redis, await locate(release), { ...ALL_WINDOWS, ...choice })),
    async *streamWindows(release, choice) {
      yield* streamWindows(redis, await locate(release), choice);
    },
    readHistory: (release, choice) => histories.read(release, choice),
    ...createIncidentReader({ redis, shards, locate }),
    async listReleases() {
      const names = await onEachShard((shard) => redis.hkeys(tableKey(shard, "releases")));
      return [...new Set(names.flat())].map(parseReleaseKey);
    },
    async listDirty() {
      const rows = await onEachShard((shard) => redis.hgetall(dirtyKey(shard)));
      const revisions = new Map<string, Map<number, string>>();
      for (const [shard, row] of rows.entries()) {
        for (const [text, revision] of Object.entries(row)) {
          const ofRelease = revisions.get(text) ?? new Map<number, string>();
          revisions.set(text, ofRelease.set(shard, revision));
        }
      }
      return [...revisions].map(([text, ofRelease]) => ({
        release: parseReleaseKey(text),
        revisions: ofRelease,
      }));
    },
    async clearDirty({ release, revisions }) {
      const text = formatReleaseKey(release);
      await Promise.all(
        [...revisions].map(([shard, revision]) =>
          CLEAR_DIRTY.run(redis, [dirtyKey(shard)], [text, revision]),
        ),
      );
    },
    async markDirty(releases) {
      const pipeline = redis.pipeline();
      for (const release of releases) pipeline.hsetnx(dirtyKey(0), formatReleaseKey(release), "start");
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    },
    async listDueShards(nowMs) {
      const firsts = await onEachShard((shard) => firstDueMinute(redis, shard));
      return shardNumbers.filter((shard) => (firsts[shard] ?? Infinity) * 60_000 <= nowMs);
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
