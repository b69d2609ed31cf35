// Retention of devices: those that nobody has heard of for so long leave the device table. What they did
// stays counted. Every bucket is read once a day, and only the seconds at which devices were heard are looked at.
import { heardSecondOf } from "../health/device-state.ts";
import { DEVICE_BUCKETS } from "../health/device-table.ts";
import type { DeviceName } from "../health/device-table.ts";
import { deviceBucketKey } from "../health/shard-keys.ts";
import type { ShardStore } from "../health/shard-store.ts";
import { foldLeaving } from "../health/visit.ts";
import type { Redis } from "../../runtime/redis.ts";
import { inSlices } from "./in-slices.ts";

export interface RetentionOptions {
  readonly redis: Redis;
  readonly store: ShardStore;
  readonly nowMs: number;
  readonly retentionMs: number;
  readonly isStopping: () => boolean;
}

/** Buckets read at once. */
const BUCKETS_AT_ONCE = 16;
/** Devices that leave in one commit at most: bounds how long Redis is busy. */
const LEAVING_MAX = 1_000;
/** Leaves: how many devices have left. A shard that folding does not let come to it goes on tomorrow. */
export async function dropUnseenDevices(options: RetentionOptions): Promise<number> {
  const { isStopping } = options;
  let left = 0;
  for (let bucket = 0; bucket < DEVICE_BUCKETS; bucket += BUCKETS_AT_ONCE) {
    let waiting = await unseenDevices(options, bucket);
    const step = async (atOnce: number): Promise<"more" | "done" | "conflict"> => {
      const some = waiting.slice(0, atOnce);
      if (some.length === 0) return "done";
      const gone = await dropDevices(options, some);
      if (gone === "conflict") return "conflict";
      left += gone;
      waiting = waiting.slice(some.length);
      return "more";
    };
    if ((await inSlices({ atOnceMax: LEAVING_MAX, step, isStopping })) === "given_up") break;
  }
  return left;
}

/** Leaves: how many have left; who was heard of since stays. */
async function dropDevices(
  { store, nowMs, retentionMs }: RetentionOptions,
  devices: readonly DeviceName[],
): Promise<number | "conflict"> {
  const { revision } = await store.readPosition();
  const [tables, stateOf] = await Promise.all([
    store.readTables(revision),
    store.readStates(revision, devices),
  ]);
  const plan = foldLeaving({ devices, tables, stateOf, nowMs, retentionMs });
  if (plan.states.size === 0) return 0;
  if ((await store.commitVisit(revision, plan)) === "conflict") return "conflict";
  return [...plan.states.values()].reduce((sum, states) => sum + states.size, 0);
}

async function unseenDevices(
  { redis, store: { shard }, nowMs, retentionMs }: RetentionOptions,
  firstBucket: number,
): Promise<DeviceName[]> {
  const pipeline = redis.pipeline();
  const buckets = Array.from({ length: BUCKETS_AT_ONCE }, (_, index) => firstBucket + index);
  for (const bucket of buckets) pipeline.callBuffer("HGETALL", deviceBucketKey(shard, bucket));
  const answers = (await pipeline.exec()) ?? [];
  return answers.flatMap(([error, rows], index) => {
    if (error !== null) throw error;
    return unseenIn(rows as Buffer[], buckets[index]!, nowMs - retentionMs);
  });
}

/** `rows`: field and state by turns. */
function unseenIn(rows: readonly Buffer[], bucket: number, unseenSinceMs: number): DeviceName[] {
  const devices: DeviceName[] = [];
  for (let index = 0; index + 1 < rows.length; index += 2)
    if (heardSecondOf(rows[index + 1]!) * 1_000 <= unseenSinceMs)
      devices.push({ bucket, field: rows[index]!.toString("latin1") });
  return devices;
}
