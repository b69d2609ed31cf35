// The form in which counts are stored, held against what this version reads: bytes of another form would
// not fail, they would be counted wrongly.
import { LAYOUT_KEY } from "../../ingest/contract/stream-names.ts";
import type { Redis } from "../../runtime/redis.ts";
import { metaKey } from "./shard-keys.ts";

/** Raise it when stored states or counts of the form before can't be read any more, or an older version would misread these. */
export const COUNTS_LAYOUT = "4";
/** Forms that this version reads as well: they become COUNTS_LAYOUT, and no older version starts on them any more. */
const READABLE_LAYOUTS: readonly string[] = ["3"];

/** Throws when Redis holds counts of another form, with the remedy. */
export async function keepCountsLayout(redis: Redis, shards: number): Promise<void> {
  const metas = await Promise.all(
    Array.from({ length: shards }, (_, shard) => redis.hmget(metaKey(shard), "cursor", "revision")),
  );
  // The first form had no revision, and its layout was not written down.
  if (metas.some(([cursor, revision]) => cursor !== null && revision === null))
    throw new Error(
      "the counts in Redis were made by an older Lastgood, which kept them in another form: " +
        "go on with that version, or start with an empty data folder (or an empty Redis)",
    );
  await redis.hsetnx(LAYOUT_KEY, "counts", COUNTS_LAYOUT);
  const held = await redis.hget(LAYOUT_KEY, "counts");
  if (held === COUNTS_LAYOUT) return;
  if (held === null || !READABLE_LAYOUTS.includes(held))
    throw new Error(
      `the counts in Redis have layout ${held}, and this Lastgood reads layout ${COUNTS_LAYOUT}: ` +
        "start the version that made them, or start with an empty data folder (or an empty Redis)",
    );
  await redis.hset(LAYOUT_KEY, "counts", COUNTS_LAYOUT);
}
