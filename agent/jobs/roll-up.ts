// Rolling up: windows of a release that have aged go into coarser ones, and after WINDOW_RETENTION_DAYS they
// leave. One commit per release, so that no sum is ever seen with a window missing or counted twice.
import { NO_REVISION, createShardCommit } from "../health/shard-commit.ts";
import { countsKey, fineKey, metaKey, tableKey, windowsKey } from "../health/shard-keys.ts";
import { runCommit } from "../health/shard-store.ts";
import { writeFields } from "../health/stored-counts.ts";
import { rollUp } from "../health/windows.ts";
import type { Redis } from "../../runtime/redis.ts";

export interface RollUpOptions {
  readonly redis: Redis;
  readonly shard: number;
  readonly nowMs: number;
  /** `fine`: releases with windows finer than an hour; `all`: the others too, whose windows may be due to leave. */
  readonly which: "fine" | "all";
  readonly isStopping: () => boolean;
}

/** A release whose roll-up loses this often against folding is rolled up an hour later. */
const TRIES_MAX = 10;

/** Leaves: how many windows were rolled up or dropped. */
export async function rollUpShard({
  redis,
  shard,
  nowMs,
  which,
  isStopping,
}: RollUpOptions): Promise<number> {
  const numbers =
    which === "fine" ? await redis.smembers(fineKey(shard)) : await redis.hvals(tableKey(shard, "releases"));
  let rolled = 0;
  for (const releaseNumber of numbers.map(Number)) {
    for (let tries = 0; tries < TRIES_MAX && !isStopping(); tries += 1) {
      const windows = await rollUpRelease({ redis, shard, nowMs, which }, releaseNumber);
      if (windows === "conflict") continue;
      rolled += windows;
      break;
    }
  }
  return rolled;
}

async function rollUpRelease(
  { redis, shard, nowMs, which }: Omit<RollUpOptions, "isStopping">,
  releaseNumber: number,
): Promise<number | "conflict"> {
  const revision = (await redis.hget(metaKey(shard), "revision")) ?? NO_REVISION;
  const [key, totals] = [windowsKey(shard, releaseNumber), countsKey(shard, releaseNumber)];
  const slots = new Map(Object.entries(await redis.hgetallBuffer(key)));
  // Never back: after a clock was set back, what is late would miss the windows that it belongs to.
  const rolledMinute = Number((await redis.hget(totals, "rolled")) ?? 0);
  const nowMinute = Math.max(rolledMinute, Math.floor(nowMs / 60_000));
  const { removed, written, isFine } = rollUp(slots, nowMinute);
  const isDone = which === "fine" && !isFine;
  if (removed.length === 0 && !isDone) return 0;
  const commit = createShardCommit(redis, shard);
  if (isDone) commit.command("SREM", fineKey(shard), releaseNumber);
  commit.many(
    "HDEL",
    key,
    removed.map((field) => [field]),
  );
  writeFields(commit, key, [...written]);
  // Folding puts what is late into the windows that are there now.
  if (removed.length > 0) commit.command("HSET", totals, "rolled", nowMinute);
  return (await runCommit(redis, { shard, commit, revision })) === "committed" ? removed.length : "conflict";
}
