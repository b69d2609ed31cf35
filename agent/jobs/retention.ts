// Retention of devices: those that nobody has heard of for so long leave the device table. What they did
// stays counted. Every bucket is read once a day, and only the seconds at which devices were heard are looked at.
import { heardSecondOf } from "../health/device-state.ts";
import { DEVICE_BUCKETS } from "../health/device-table.ts";
import type { DeviceName } from "../health/device-table.ts";
import { deviceBucketKey } from "../health/shard-keys.ts";
import type { ShardStore } from "../health/shard-store.ts";
import { foldLeaving } from "../health/visit.ts";
import type { Redis } from "../../runtime/redis.ts";

export interface RetentionOptions {
  readonly redis: Redis;
  readonly store: ShardStore;
  readonly nowMs: number;
  readonly retentionMs: number;
  readonly isStopping: () => boolean;
}

/** Buckets read at once, and devices that leave in one commit at most: bounds how long Redis is busy. */
const BUCKETS_AT_ONCE = 16;
const LEAVING_MAX = 1_000;
/** A shard that loses this often against folding goes on tomorrow. */
const CONFLICTS_MAX = 100;

/** Leaves: how many devices have left. */
export async function dropUnseenDevices(options: RetentionOptions): Promise<number> {
  const { store, nowMs, retentionMs, isStopping } = options;
  let left = 0;
  let conflicts = 0;
  for (let bucket = 0; bucket < DEVICE_BUCKETS && !isStopping();) {
    const { revision } = await store.readPosition();
    const unseen = await unseenDevices(options, bucket);
    const devices = unseen.slice(0, LEAVING_MAX);
    if (devices.length > 0) {
      const [tables, stateOf] = await Promise.all([store.readTables(revision), store.readStates(devices)]);
      const plan = foldLeaving({ devices, tables, stateOf, nowMs, retentionMs });
      if ((await store.commitVisit(revision, plan)) === "conflict") {
        conflicts += 1;
        if (conflicts > CONFLICTS_MAX) break;
        continue;
      }
      left += devices.length;
    }
    if (unseen.length <= LEAVING_MAX) bucket += BUCKETS_AT_ONCE;
  }
  return left;
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
