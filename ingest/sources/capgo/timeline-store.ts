// The timelines of devices in Redis: one small sorted set per device, in the slot of its shard, for as long as its events
// may still need it. Enters: what a request tells of each device. Leaves: the whole timeline of each. Moments are members,
// so that adding them twice, in any order, or from two ingests at once, makes the same set: no lock, no script.
//
// Memory: measured with MEMORY USAGE in test/integration/capgo-source.test.ts: about 250 bytes for a device that has
// switched four times, and it goes by itself when the device sends nothing that needs it for TIMELINE_MS.
import { refreshServers, serverOf } from "../../../runtime/redis-servers.ts";
import type { Redis } from "../../../runtime/redis.ts";
import { deviceDigest, shardOfDevice } from "../../contract/shard.ts";
import { capgoTimelineKey, reportStream } from "../../contract/stream-names.ts";
import { MOMENTS_MAX, inOrder } from "./timeline.ts";
import type { Moment, Timeline } from "./timeline.ts";

/** After the last event that needed it, in milliseconds: a day longer than a report may be late. */
export const TIMELINE_MS = 8 * 24 * 3_600_000;

export interface DeviceMoments {
  readonly app: string;
  readonly device: string;
  readonly moments: readonly Moment[];
}

export interface TimelineStore {
  /** Adds what is told, and reads all that is known. Rejects when Redis can't be reached. */
  tell(devices: readonly DeviceMoments[]): Promise<readonly Timeline[]>;
}

export function createTimelineStore({ redis, shards }: { redis: Redis; shards: number }): TimelineStore {
  return {
    async tell(devices) {
      try {
        return await Promise.all(devices.map((device) => tellOne(redis, shards, device)));
      } catch (error) {
        // A server that has lost a shard to another says so; the next request goes to the right one.
        refreshServers(redis);
        throw error;
      }
    },
  };
}

async function tellOne(
  redis: Redis,
  shards: number,
  { app, device, moments }: DeviceMoments,
): Promise<Timeline> {
  const digest = deviceDigest(app, device);
  const shard = shardOfDevice(digest, shards);
  const server = serverOf(redis, reportStream(shard));
  if (server === undefined) throw new Error(`the server of shard ${shard} is away`);
  const key = capgoTimelineKey(shard, digest);
  const pipeline = server.pipeline();
  for (const moment of moments) pipeline.zadd(key, String(moment.atMs), encode(moment));
  pipeline.zremrangebyrank(key, "0", String(-MOMENTS_MAX - 1));
  pipeline.pexpire(key, String(TIMELINE_MS));
  pipeline.zrange(key, "0", "-1");
  const replies = (await pipeline.exec()) ?? [];
  const failed = replies.find(([error]) => error !== null)?.[0];
  if (failed !== undefined && failed !== null) throw failed;
  const members = (replies.at(-1)?.[1] ?? []) as readonly string[];
  return inOrder(members.flatMap((member) => decode(member) ?? []));
}

const KINDS = { s: "set", r: "revert", d: "download" } as const;

/** The time stands in it too: the same switch at another time is another moment. */
function encode(moment: Moment): string {
  const parts = [moment.kind[0]!, moment.atMs.toString(36), moment.version];
  if (moment.kind === "set" && moment.from !== undefined) parts.push(moment.from);
  return JSON.stringify(parts);
}

/** Undefined for what another program left there. */
function decode(member: string): Moment | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(member);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || !parts.every((part): part is string => typeof part === "string"))
    return undefined;
  const [letter, time, version, from] = parts;
  const kind =
    letter !== undefined && Object.hasOwn(KINDS, letter) ? KINDS[letter as keyof typeof KINDS] : undefined;
  const atMs = Number.parseInt(time ?? "", 36);
  if (kind === undefined || version === undefined || !Number.isSafeInteger(atMs)) return undefined;
  return kind === "set" ? { kind, atMs, version, from } : { kind, atMs, version };
}
