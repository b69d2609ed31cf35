// The index of deadlines: which devices owe a word, by the minute in which the time for it is over, so that
// silence is found without looking at every device. A device that answers stays in it until its minute
// comes, is looked at then, and found to owe nothing: 8 bytes for the hours of the deadline. How far the look
// at a large minute has come stands beside the revision, so that whoever goes on with it begins where it ends.
import type { Redis } from "../../runtime/redis.ts";
import { FIELD_BYTES, nameOf } from "./device-table.ts";
import type { DeviceName } from "./device-table.ts";
import type { Due } from "./fold-plan.ts";
import { readAt } from "./revision.ts";
import type { ShardAt } from "./revision.ts";
import type { ShardCommit } from "./shard-commit.ts";
import { dueDevicesKey, dueMinutesKey, metaKey } from "./shard-keys.ts";

/** Devices looked at in one commit. */
export const DUE_DEVICES_MAX = 2_000;

/** Some of the devices of one minute, from a position in its list. */
export interface DueDevices {
  readonly minute: number;
  readonly from: number;
  readonly devices: readonly DeviceName[];
  /** No more devices stand behind these: the minute is done with. */
  readonly isLast: boolean;
}

/** Undefined when no deadline ends by the minute. Throws when the revision has moved. */
export async function readDue(at: ShardAt, nowMinute: number): Promise<DueDevices | undefined> {
  const { shard } = at;
  const [minutes, begun] = (await readAt(at, (transaction) =>
    transaction
      .zrangebyscore(dueMinutesKey(shard), "-inf", nowMinute, "LIMIT", 0, 1)
      .hmget(metaKey(shard), "due_minute", "due_seen"),
  )) as [string[], [minute: string | null, seen: string | null]];
  const [first] = minutes;
  if (first === undefined) return undefined;
  const minute = Number(first);
  const start = begun[0] === first ? Number(begun[1]) : 0;
  const startByte = start * FIELD_BYTES;
  const endByte = startByte + DUE_DEVICES_MAX * FIELD_BYTES - 1;
  const [bytes] = (await readAt(at, (transaction) =>
    transaction.getrangeBuffer(dueDevicesKey(shard, minute), startByte, endByte),
  )) as [Buffer];
  const devices: DeviceName[] = [];
  for (let offset = 0; offset + FIELD_BYTES <= bytes.length; offset += FIELD_BYTES)
    devices.push(nameOf(bytes.toString("latin1", offset, offset + FIELD_BYTES)));
  return { minute, from: start, devices, isLast: devices.length < DUE_DEVICES_MAX };
}

/** The earliest minute in which a deadline ends; undefined when none does. */
export async function firstDueMinute(redis: Redis, shard: number): Promise<number | undefined> {
  const [first] = await redis.zrange(dueMinutesKey(shard), "0", "0");
  return first === undefined ? undefined : Number(first);
}

export function writeDue(commit: ShardCommit, shard: number, due: readonly Due[]): void {
  const fields = new Map<number, string[]>();
  for (const { minute, field } of due) {
    const ofMinute = fields.get(minute);
    if (ofMinute === undefined) fields.set(minute, [field]);
    else ofMinute.push(field);
  }
  for (const [minute, ofMinute] of fields)
    commit.command("APPEND", dueDevicesKey(shard, minute), Buffer.from(ofMinute.join(""), "latin1"));
  commit.many(
    "ZADD",
    dueMinutesKey(shard),
    [...fields.keys()].map((minute) => [minute, String(minute)]),
  );
}

/** These devices have been looked at: the next look goes on behind them, or the minute is done with. */
export function writeSeen(commit: ShardCommit, shard: number, seen: DueDevices): void {
  const { minute, from, devices, isLast } = seen;
  if (!isLast) {
    commit.command("HSET", metaKey(shard), "due_minute", minute, "due_seen", from + devices.length);
    return;
  }
  commit.command("DEL", dueDevicesKey(shard, minute));
  commit.command("ZREM", dueMinutesKey(shard), minute);
  commit.command("HDEL", metaKey(shard), "due_minute", "due_seen");
}
