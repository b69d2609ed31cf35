// Rolling up: windows of a release that have aged go into coarser ones, and after WINDOW_RETENTION_DAYS they
// leave. A few slots per commit, so that folding is not held up; no sum is ever seen with a window missing or
// counted twice.
import { NO_REVISION, orConflict, readAt } from "../health/revision.ts";
import type { ShardAt } from "../health/revision.ts";
import { createShardCommit } from "../health/shard-commit.ts";
import { countsKey, fineKey, metaKey, tableKey, windowsKey } from "../health/shard-keys.ts";
import { writeFields } from "../health/stored-counts.ts";
import { planRollUp, rollUp } from "../health/windows.ts";
import type { RollUpPlan } from "../health/windows.ts";
import type { Redis } from "../../runtime/redis.ts";

export interface RollUpOptions {
  readonly redis: Redis;
  readonly shard: number;
  readonly nowMs: number;
  /** `fine`: releases with windows finer than an hour; `all`: the others too, whose windows may be due to leave. */
  readonly which: "fine" | "all";
  readonly isStopping: () => boolean;
}

/** Slots rolled up in one commit at most; fewer after each time that folding was faster. */
const SLOTS_AT_ONCE = 60;
/** A release whose roll-up loses this often in a row against folding is rolled up an hour later. */
const CONFLICTS_MAX = 20;

/** Leaves: how many slots were rolled up or dropped. */
export async function rollUpShard(options: RollUpOptions): Promise<number> {
  const { redis, shard, which, isStopping } = options;
  const numbers =
    which === "fine" ? await redis.smembers(fineKey(shard)) : await redis.hvals(tableKey(shard, "releases"));
  let rolled = 0;
  for (const releaseNumber of numbers.map(Number)) {
    let atOnce = SLOTS_AT_ONCE;
    let conflicts = 0;
    while (conflicts <= CONFLICTS_MAX && !isStopping()) {
      const slots = await orConflict(() => rollUpSome(options, releaseNumber, atOnce));
      if (slots === 0) break;
      if (slots === "conflict") {
        atOnce = Math.max(1, Math.ceil(atOnce / 2));
        conflicts += 1;
      } else {
        conflicts = 0;
        rolled += slots;
      }
    }
  }
  return rolled;
}

/** Leaves: how many slots; 0 when nothing was left to do. */
async function rollUpSome(
  { redis, shard, nowMs, which }: RollUpOptions,
  releaseNumber: number,
  atOnce: number,
): Promise<number | "conflict"> {
  const revision = (await redis.hget(metaKey(shard), "revision")) ?? NO_REVISION;
  const at = { redis, shard, revision };
  const [key, totals] = [windowsKey(shard, releaseNumber), countsKey(shard, releaseNumber)];
  const [fields, rolled] = (await readAt(at, (transaction) =>
    transaction.hkeys(key).hget(totals, "rolled"),
  )) as [string[], string | null];
  // Never back: after a clock was set back, what is late would miss the windows that it belongs to.
  const nowMinute = Math.max(Number(rolled ?? 0), Math.floor(nowMs / 60_000));
  const { moving, isFine } = planRollUp(fields, nowMinute);
  const isDone = which === "fine" && !isFine && moving.length <= atOnce;
  if (moving.length === 0 && !isDone) return 0;
  const some = moving.slice(0, atOnce);
  const commit = createShardCommit(redis, shard);
  if (isDone) commit.command("SREM", fineKey(shard), releaseNumber);
  commit.many(
    "HDEL",
    key,
    some.map(({ field }) => [field]),
  );
  writeFields(commit, key, [...rollUp(await readSlots(at, key, some), some)]);
  // From the first commit on folding puts what is late into the coarser windows; those that wait join it there.
  if (some.length > 0) commit.command("HSET", totals, "rolled", nowMinute);
  return (await commit.run(revision)) === "committed" ? some.length : "conflict";
}

async function readSlots(
  at: ShardAt,
  key: string,
  moving: RollUpPlan["moving"],
): Promise<ReadonlyMap<string, Buffer>> {
  const names = [...new Set(moving.flatMap(({ field, into }) => (into === undefined ? [] : [field, into])))];
  if (names.length === 0) return new Map();
  const [values] = await readAt(at, (transaction) => transaction.hmgetBuffer(key, ...names));
  const slots = (values as (Buffer | null)[]).map((bytes, index) => [names[index]!, bytes] as const);
  return new Map(slots.filter((slot): slot is readonly [string, Buffer] => slot[1] !== null));
}
