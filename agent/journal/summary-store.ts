// A ReleaseSummary is what the last evaluation of a release found: what /metrics, the status page and the
// command line show, without judging anew. Enters and leaves Redis as JSON.
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { NO_DEVICE_HOURS } from "../health/health-window.ts";
import type { DeviceHours } from "../health/health-window.ts";
import { toOutcomeCounts } from "../health/outcomes.ts";
import { CHANNELS, SUMMARIES, SUSPECTS, liveVersionsKey, offeredKey } from "./control-keys.ts";
import type { Verdict } from "../judge/verdict.ts";

export interface ReleaseSummary {
  readonly verdict: Verdict;
  readonly hours: DeviceHours;
  readonly evaluatedAtMs: number;
  readonly firstReportAtMs: number;
  readonly lastReportAtMs: number;
  /** Since when it looks bad without enough evidence to act; null = it does not. */
  readonly suspectSinceMs?: number | null;
}

/** What the OTA server said of a channel when it was asked last. */
export interface ChannelSummary {
  readonly version: Version | null;
  /** What it can be set to, newest first; left out where it was not asked. */
  readonly releases?: readonly {
    readonly version: Version;
    readonly releasedAt: string;
    readonly sameAs?: readonly Version[];
  }[];
  /** Null where the server does not say. */
  readonly paused?: boolean | null;
  readonly readAtMs: number;
}

/** Releases of one channel that are remembered: years of them, in some kilobytes. */
export const OFFERED_MAX = 100;

/** A release that looks bad, without enough evidence to act. */
export interface Suspect {
  /** RFC 3339. */
  readonly since: string;
  readonly sentence: string;
}

export interface SummaryStore {
  write(summary: ReleaseSummary): Promise<void>;
  remove(release: ReleaseKey): Promise<void>;
  read(release: ReleaseKey): Promise<ReleaseSummary | undefined>;
  list(): Promise<ReleaseSummary[]>;
  /** As it is stored, by release key text: for `createSummaryReader`. */
  listStored(): Promise<ReadonlyMap<string, string>>;
  /** Versions of a channel that were reported about since, newest report first. */
  listLive(key: ChannelKey, options: { readonly sinceMs: number; readonly most: number }): Promise<Version[]>;
  /** Undefined = it does not look bad any more. */
  writeSuspect(release: ReleaseKey, suspect: Suspect | undefined): Promise<void>;
  /** By release key text. */
  listSuspects(): Promise<ReadonlyMap<string, Suspect>>;
  writeChannel(key: ChannelKey, summary: ChannelSummary): Promise<void>;
  readChannel(key: ChannelKey): Promise<ChannelSummary | undefined>;
  /** By channel key text. */
  listChannels(): Promise<ReadonlyMap<string, ChannelSummary>>;
  /**
   * Remembers that the channel offers these, newest first. Leaves: what it was seen to offer, newest first, but for what
   * was left for the last of these: a channel that was put back, or whose rollout was ended, does not return by itself to
   * what somebody had a reason to leave.
   */
  noteOffered(key: ChannelKey, versions: readonly Version[], nowMs: number): Promise<Version[]>;
}

export function createSummaryStore({ redis }: { redis: Redis }): SummaryStore {
  const readJson = async <T>(key: string, field: string): Promise<T | undefined> => {
    const row = await redis.hget(key, field);
    return row === null ? undefined : (JSON.parse(row) as T);
  };
  return {
    async write(summary) {
      const { release } = summary.verdict;
      await redis.zadd(liveVersionsKey(formatChannelKey(release)), summary.lastReportAtMs, release.version);
      await redis.hset(SUMMARIES, formatReleaseKey(release), JSON.stringify(summary));
    },
    async remove(release) {
      await redis.zrem(liveVersionsKey(formatChannelKey(release)), release.version);
      await redis.hdel(SUMMARIES, formatReleaseKey(release));
      await redis.hdel(SUSPECTS, formatReleaseKey(release));
    },
    listLive: async (key, { sinceMs, most }) =>
      (await redis.zrevrangebyscore(
        liveVersionsKey(formatChannelKey(key)),
        "+inf",
        sinceMs,
        "LIMIT",
        0,
        most,
      )) as Version[],
    async read(release) {
      const stored = await readJson<StoredSummary>(SUMMARIES, formatReleaseKey(release));
      return stored === undefined ? undefined : toSummary(stored);
    },
    list: async () => (await redis.hvals(SUMMARIES)).map(parseSummary),
    listStored: async () => new Map(Object.entries(await redis.hgetall(SUMMARIES))),
    async writeSuspect(release, suspect) {
      const field = formatReleaseKey(release);
      if (suspect === undefined) await redis.hdel(SUSPECTS, field);
      else await redis.hset(SUSPECTS, field, JSON.stringify(suspect));
    },
    async listSuspects() {
      const rows = Object.entries(await redis.hgetall(SUSPECTS));
      return new Map(rows.map(([text, row]) => [text, JSON.parse(row) as Suspect]));
    },
    writeChannel: async (key, summary) =>
      void (await redis.hset(CHANNELS, formatChannelKey(key), JSON.stringify(summary))),
    readChannel: (key) => readJson<ChannelSummary>(CHANNELS, formatChannelKey(key)),
    async listChannels() {
      const rows = Object.entries(await redis.hgetall(CHANNELS));
      return new Map(rows.map(([text, row]) => [text, JSON.parse(row) as ChannelSummary]));
    },
    async noteOffered(key, versions, nowMs) {
      const offered = offeredKey(formatChannelKey(key));
      const last = versions.at(-1);
      const lastSince = last === undefined ? null : await redis.zscore(offered, last);
      if (lastSince !== null) await redis.zremrangebyscore(offered, `(${lastSince}`, "+inf");
      // Those seen together for the first time keep their order.
      for (const [index, version] of versions.entries())
        await redis.zadd(offered, "NX", nowMs - index, version);
      await redis.zremrangebyrank(offered, 0, -OFFERED_MAX - 1);
      return (await redis.zrevrange(offered, 0, -1)) as Version[];
    },
  };
}

/** An older Lastgood counted less: what it did not write is 0, or empty, until the release is evaluated anew. */
type StoredSummary = Omit<ReleaseSummary, "hours" | "verdict"> & {
  readonly hours?: Partial<DeviceHours>;
  readonly verdict: Omit<Verdict, "accusing"> & Partial<Pick<Verdict, "accusing">>;
};

const NO_DEVICES = toOutcomeCounts([]);

export function parseSummary(row: string): ReleaseSummary {
  return toSummary(JSON.parse(row) as StoredSummary);
}

function toSummary(stored: StoredSummary): ReleaseSummary {
  const { verdict } = stored;
  const hours = { ...NO_DEVICE_HOURS, ...stored.hours };
  const devices = { ...NO_DEVICES, ...verdict.devices };
  return { ...stored, verdict: { ...verdict, devices, accusing: verdict.accusing ?? [] }, hours };
}
