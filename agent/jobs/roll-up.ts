// Rolling up: windows of a release that have aged go into coarser ones, and after WINDOW_RETENTION_DAYS they
// leave. A few slots per commit, so that folding is not held up; no sum is ever seen with a window missing or
// counted twice.
import { NO_REVISION, readAt } from "../health/revision.ts";
import type { ShardAt } from "../health/revision.ts";
import { horizonsAt } from "../health/health-window.ts";
import { createShardCommit } from "../health/shard-commit.ts";
import {
  countsKey,
  dayMarksKey,
  fineKey,
  hourMarksKey,
  metaKey,
  tableKey,
  windowsKey,
} from "../health/shard-keys.ts";
import { readFields } from "../health/stored-fields.ts";
import type { Fields } from "../health/stored-fields.ts";
import { dropMarks, hasOldMarks, markWindows } from "../health/window-marks.ts";
import { planRollUp, rollUp } from "../health/windows.ts";
import type { RollUpPlan } from "../health/windows.ts";
import type { Redis } from "../../runtime/redis.ts";
import { inSlices } from "./in-slices.ts";

export interface RollUpOptions {
  readonly redis: Redis;
  readonly shard: number;
  readonly nowMs: number;
  /** `fine`: releases with windows finer than an hour; `all`: the others too, whose windows may be due to leave. */
  readonly which: "fine" | "all";
  readonly isStopping: () => boolean;
}

/** Slots rolled up in one commit at most. */
const SLOTS_AT_ONCE = 60;

/** Leaves: how many slots were rolled up or dropped. A release that folding does not let come to it waits an hour. */
export async function rollUpShard(options: RollUpOptions): Promise<number> {
  const { redis, shard, which, isStopping } = options;
  const numbers =
    which === "fine" ? await redis.smembers(fineKey(shard)) : await redis.hvals(tableKey(shard, "releases"));
  let rolled = 0;
  for (const releaseNumber of numbers.map(Number)) {
    const step = async (atOnce: number): Promise<"more" | "done" | "conflict"> => {
      const some = await rollUpSome(options, releaseNumber, atOnce);
      if (some === "conflict") return "conflict";
      rolled += some.slots;
      return some.next;
    };
    await inSlices({ atOnceMax: SLOTS_AT_ONCE, step, isStopping });
  }
  return rolled;
}

interface Rolled {
  readonly slots: number;
  readonly next: "more" | "done";
}

async function rollUpSome(
  { redis, shard, nowMs, which }: RollUpOptions,
  releaseNumber: number,
  atOnce: number,
): Promise<Rolled | "conflict"> {
  const revision = (await redis.hget(metaKey(shard), "revision")) ?? NO_REVISION;
  const at = { redis, shard, revision };
  const [key, totals] = [windowsKey(shard, releaseNumber), countsKey(shard, releaseNumber)];
  const [fields, rolled, days, hours] = (await readAt(at, (transaction) =>
    transaction
      .hkeys(key)
      .hget(totals, "rolled")
      .hkeys(dayMarksKey(shard, releaseNumber))
      .hkeys(hourMarksKey(shard, releaseNumber)),
  )) as [string[], string | null, string[], string[]];
  // Never back: after a clock was set back, what is late would miss the windows that it belongs to.
  const nowMinute = Math.max(Number(rolled ?? 0), Math.floor(nowMs / 60_000));
  const { moving, isFine } = planRollUp(fields, nowMinute);
  const some = moving.slice(0, atOnce);
  const next = moving.length > some.length ? "more" : "done";
  const leavesFine = which === "fine" && !isFine && next === "done";
  const marks = { held: { days, hours }, dropMinute: horizonsAt(nowMinute).drop };
  if (some.length === 0 && !leavesFine && !hasOldMarks(marks.held, marks.dropMinute))
    return { slots: 0, next };
  const commit = createShardCommit(redis, shard);
  if (leavesFine) commit.command("SREM", fineKey(shard), releaseNumber);
  commit.many(
    "HDEL",
    key,
    some.map(({ field }) => [field]),
  );
  commit.fields(key, rollUp(await readSlots(at, key, some), some));
  const moved = some.flatMap(({ field, into }) => (into === undefined ? [] : [field]));
  markWindows(commit, { shard, releaseNumber }, moved);
  if (next === "done") dropMarks(commit, { shard, releaseNumber }, marks);
  // From the first commit on folding puts what is late into the coarser windows; those that wait join it there.
  if (some.length > 0) commit.command("HSET", totals, "rolled", nowMinute);
  return (await commit.run(revision)) === "committed" ? { slots: some.length, next } : "conflict";
}

async function readSlots(at: ShardAt, key: string, moving: RollUpPlan["moving"]): Promise<Fields> {
  const fields = new Set(moving.flatMap(({ field, into }) => (into === undefined ? [] : [field, into])));
  const [slots] = await readFields(at, [{ key, fields: [...fields] }]);
  return slots!;
}
