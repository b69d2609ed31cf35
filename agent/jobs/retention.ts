// Retention: windows older than WINDOW_RETENTION_DAYS leave. Totals stay, so nothing that is judged changes.
import { WINDOW_RETENTION_DAYS } from "../health/health-window.ts";
import { releaseTableKey, windowsKey } from "../health/shard-keys.ts";
import type { Redis } from "../../runtime/redis.ts";

/** Fields removed by one command: bounds how long Redis is busy with it. */
const FIELDS_PER_CALL = 1_000;

export interface RetentionOptions {
  readonly redis: Redis;
  readonly shards: number;
  readonly nowMs: number;
}

/** Leaves: how many window fields were removed. */
export async function dropOldWindows({ redis, shards, nowMs }: RetentionOptions): Promise<number> {
  const oldestMinute = Math.floor(nowMs / 60_000) - WINDOW_RETENTION_DAYS * 24 * 60;
  let dropped = 0;
  for (let shard = 0; shard < shards; shard += 1) {
    const releaseNumbers = await redis.hvals(releaseTableKey(shard));
    for (const releaseNumber of releaseNumbers) {
      const key = windowsKey(shard, Number(releaseNumber));
      const fields = await redis.hkeys(key);
      const old = fields.filter((field) => Number(field.split(":")[0]) < oldestMinute);
      for (let start = 0; start < old.length; start += FIELDS_PER_CALL)
        dropped += await redis.hdel(key, ...old.slice(start, start + FIELDS_PER_CALL));
    }
  }
  return dropped;
}
