// A fleet's reports into Redis and through folding, by the path of production but for HTTP: entries as
// ingest writes them, appended to the streams, and folded as the agent folds. Enters: what devices say.
// Leaves: streams, and then counts.
import type { Redis } from "ioredis";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { shardOf } from "../../agent/health/device-table.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import type { AppId, Channel, Version } from "../../ingest/contract/release-key.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { SHARDS_DEFAULT, reportStream } from "../../ingest/contract/stream-names.ts";
import { kindOf } from "./fleet-profiles.ts";
import type { Said } from "./fleet-profiles.ts";

export const SHARDS = SHARDS_DEFAULT;
const APP = "com.acme.till" as AppId;
const CHANNEL = "production" as Channel;
/** As many as the agent folds at once (agent/jobs/workers.ts). */
const SHARDS_AT_ONCE = 4;
/** Entries that may be on their way to Redis. */
const ENTRIES_UNDER_WAY_MAX = 64;

export interface Fleet {
  readonly devices: number;
  shardOf(device: number): number;
}

export function createFleet(devices: number): Fleet {
  const shards = Uint8Array.from({ length: devices }, (_, device) => shardOf(APP, nameOf(device), SHARDS));
  return { devices, shardOf: (device) => shards[device]! };
}

function nameOf(device: number): string {
  return `device-${device}`;
}

function toReport({ device, version, event, atMs }: Said): AcceptedReport {
  return {
    app: APP,
    channel: CHANNEL,
    device: nameOf(device),
    version: version as Version,
    event,
    atMs,
    ...kindOf(device),
  };
}

/** Appends reports, given by the time at which they are sent, as entries of up to so many of one shard. */
export async function writeReports(
  redis: Redis,
  { fleet, said, reportsPerEntry }: { fleet: Fleet; said: Iterable<Said>; reportsPerEntry: number },
): Promise<void> {
  const waiting = Array.from({ length: SHARDS }, (): Said[] => []);
  let underWay: Promise<unknown>[] = [];
  const write = (shard: number): void => {
    const ofEntry = waiting[shard]!;
    const entry = { receivedAtMs: ofEntry.at(-1)!.sentAtMs, reports: ofEntry.map(toReport) };
    underWay.push(redis.xadd(reportStream(shard), "*", ...encodeReportEntry(entry)));
    waiting[shard] = [];
  };
  for (const each of said) {
    const shard = fleet.shardOf(each.device);
    waiting[shard]!.push(each);
    if (waiting[shard]!.length >= reportsPerEntry) write(shard);
    if (underWay.length < ENTRIES_UNDER_WAY_MAX) continue;
    await Promise.all(underWay);
    underWay = [];
  }
  for (const [shard, rest] of waiting.entries()) if (rest.length > 0) write(shard);
  await Promise.all(underWay);
}

export function openShards(redis: Redis): ShardStore[] {
  return Array.from({ length: SHARDS }, (_, shard) => createShardStore({ redis, shard }));
}

/** Folds all that waits and looks for silence, at a moment of the simulated clock. Leaves: how many reports. */
export async function foldAll(shards: readonly ShardStore[], nowMs: number): Promise<number> {
  const waiting = [...shards];
  let reports = 0;
  const work = async (): Promise<void> => {
    for (let store = waiting.shift(); store !== undefined; store = waiting.shift()) {
      const folded = await foldShard({
        store,
        rules: DEFAULT_COUNTING_RULES,
        onChange: () => {},
        isStopping: () => false,
        nowMs: () => nowMs,
        heardFromMs: () => Promise.resolve(0),
      });
      reports += folded.reports;
    }
  };
  await Promise.all(Array.from({ length: SHARDS_AT_ONCE }, work));
  return reports;
}
