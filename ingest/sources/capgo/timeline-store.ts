// What is remembered of each device with Capgo's plugin: its timeline, in Redis. Enters: the moments that a request tells,
// by device. Leaves: those that were told before. One pipeline per shard, and none for requests without a need.
//
// A sorted set per device by the device's own time. Every command gives the same when it comes again or in another order
// (adding what is there changes nothing, of two downloads of a bundle the later one stays, and the newest of a union are the
// newest of its parts' newest), so a batch that is sent twice, or ingests beside each other, make no difference.
//
// Memory, Redis 7.0, versions of 5 characters, MEMORY USAGE of a key: 136 bytes after an update, 200 of a device that went
// back, 392 with all 8 moments; 4 kB where versions have 128 characters. With what Redis keeps beside (its time to live, a
// place in the tables), `used_memory` of 131,000 devices: 193 and 256 bytes a device. A device that was not asked about for
// 8 days has none: so it is those that an update reached in the last 8 days that cost it.
//
// It is evidence, and no record: a failover may lose some of it. Then events are unattributed that were not, and no release
// is blamed that would not have been.
import type { Redis } from "../../../runtime/redis.ts";
import { deviceDigest, shardOfDevice } from "../../contract/shard.ts";
import { capgoTimelineKey } from "../../contract/stream-names.ts";
import type { Moment, MomentKind } from "./timeline.ts";

/** Moments of one device. */
export const MOMENTS_MAX = 8;
/** A report is taken up to 7 days later; and one more for clocks that are off. In milliseconds. */
export const TIMELINE_MS_MAX = 8 * 24 * 3_600_000;
/**
 * Moments further in the future than that are not remembered, in milliseconds: when the device's clock is put right they
 * would stay the newest, and all that is told then be forgotten.
 */
export const MOMENT_AHEAD_MS_MAX = 24 * 3_600_000;

export interface TimelineQuery {
  readonly app: string;
  readonly device: string;
  /** To be remembered. */
  readonly moments: readonly Moment[];
}

export interface TimelineStore {
  /** Never rejects. What was told before, in the order of the queries. When Redis does not answer it may have noted some of it. */
  note(queries: readonly TimelineQuery[], receivedAtMs: number): Promise<TimelineAnswer>;
}

export type TimelineAnswer =
  | { readonly kind: "found"; readonly moments: readonly (readonly Moment[])[] }
  | { readonly kind: "redis_unavailable"; readonly cause: Error };

export function createTimelineStore({
  redis,
  shards,
}: {
  readonly redis: Redis;
  readonly shards: number;
}): TimelineStore {
  return {
    async note(queries, receivedAtMs) {
      const found: (readonly Moment[])[] = queries.map(() => []);
      const askShard = async (ofShard: readonly ShardQuery[]): Promise<void> => {
        const answers = await ask(redis, ofShard, receivedAtMs);
        ofShard.forEach(({ index }, position) => (found[index] = answers[position]!));
      };
      try {
        await Promise.all([...byShard(queries, shards).values()].map(askShard));
        return { kind: "found", moments: found };
      } catch (error) {
        return { kind: "redis_unavailable", cause: error as Error };
      }
    },
  };
}

interface ShardQuery {
  readonly index: number;
  readonly key: string;
  readonly moments: readonly Moment[];
}

function byShard(queries: readonly TimelineQuery[], shards: number): Map<number, ShardQuery[]> {
  const groups = new Map<number, ShardQuery[]>();
  queries.forEach(({ app, device, moments }, index) => {
    const digest = deviceDigest(app, device);
    const shard = shardOfDevice(digest, shards);
    const key = capgoTimelineKey(shard, digest);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [{ index, key, moments }]);
    else group.push({ index, key, moments });
  });
  return groups;
}

async function ask(redis: Redis, queries: readonly ShardQuery[], receivedAtMs: number): Promise<Moment[][]> {
  const pipeline = redis.pipeline();
  const positions: number[] = [];
  for (const { key, moments } of queries) {
    // Before anything is added: that may push out what this very request is to be read by.
    positions.push(pipeline.length);
    pipeline.zrange(key, "0", "-1", "WITHSCORES");
    const kept = moments.filter(({ atMs }) => atMs <= receivedAtMs + MOMENT_AHEAD_MS_MAX);
    if (kept.length > 0) {
      const scored = kept.flatMap((moment) => [String(moment.atMs), memberOf(moment)]);
      pipeline.zadd(key, "GT", ...scored);
      pipeline.zremrangebyrank(key, 0, -(MOMENTS_MAX + 1));
    }
    pipeline.pexpire(key, TIMELINE_MS_MAX);
  }
  const expected = pipeline.length;
  const replies = (await pipeline.exec()) ?? [];
  const failed = replies.find(([error]) => error !== null)?.[0];
  if (failed !== undefined && failed !== null) throw failed;
  if (replies.length < expected) throw new Error("Redis did not answer every command");
  return positions.map((position) => momentsOf(replies[position]![1] as readonly string[]));
}

/** A device may switch to one bundle several times, or be seen to run it; of downloads of one the last is enough. */
function memberOf({ kind, atMs, version, from }: Moment): string {
  const isLastEnough = kind === "download" || kind === "fetch";
  const name = `${LETTER_OF_KIND[kind]}${isLastEnough ? "" : atMs.toString(36)} ${version}`;
  return from === undefined ? name : `${name} ${from}`;
}

const LETTER_OF_KIND: Readonly<Record<MomentKind, string>> = {
  set: "s",
  revert: "r",
  download: "d",
  fetch: "f",
  runs: "n",
};
const KIND_OF_LETTER = new Map(
  Object.entries(LETTER_OF_KIND).map(([kind, letter]) => [letter, kind as MomentKind]),
);

function momentsOf(reply: readonly string[]): Moment[] {
  const moments: Moment[] = [];
  for (let index = 0; index + 1 < reply.length; index += 2) {
    // No version has a space.
    const [name = "", version, from] = reply[index]!.split(" ");
    const kind = KIND_OF_LETTER.get(name.charAt(0));
    if (kind === undefined || version === undefined) continue;
    const moment: Moment = { kind, atMs: Number(reply[index + 1]), version };
    moments.push(from === undefined ? moment : { ...moment, from });
  }
  return moments;
}
