// Names of what a shard owns in Redis. Everything of one shard carries the hash tag `{lg:<shard>}`, so
// that one atomic script may touch all of it, on a Redis Cluster as well.

/** Shards of a new installation; the number is fixed once reports have been folded. */
export const SHARDS_DEFAULT = 16;
export const SHARDS_MAX = 256;

/** Stream entries that may wait in one shard before ingest answers 503 `backlog_full`. */
export const STREAM_ENTRIES_MAX_DEFAULT = 250_000;

export function shardTag(shard: number): string {
  return `{lg:${shard}}`;
}

/** The stream that ingest appends to and the agent folds. */
export function reportStream(shard: number): string {
  return `${shardTag(shard)}:reports`;
}

/** Entries that could not be decoded, with the reason. */
export function deadLetterStream(shard: number): string {
  return `${shardTag(shard)}:dead`;
}

/** Sorted set: moments at which a Capgo device switched bundles, by their time; `digest` names it in the shard. */
export function capgoTimelineKey(shard: number, digest: string): string {
  return `${shardTag(shard)}:capgo:${Buffer.from(digest, "latin1").toString("base64url")}`;
}

/** Hash of settings that the data was made with and that may not change: `shards` (a device's shard follows from it). */
export const LAYOUT_KEY = "{lg:control}:layout";
