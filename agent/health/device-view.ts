// What is known of one device: when it was last heard of, what it runs, and how it stands with each release, with the
// times that are kept.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { tryDecodeDeviceState } from "./device-state.ts";
import type { DeviceState, ReleaseRecord } from "./device-state.ts";
import { nameDevice, nameOf, shardOf } from "./device-table.ts";
import type { DeviceName } from "./device-table.ts";
import type { DeviceTimes, DeviceView } from "./health-window.ts";
import { hoursOf } from "./hour-set.ts";
import { outcomesOf, toOutcomeCounts } from "./outcomes.ts";
import { readTexts } from "./release-counts.ts";
import { deviceBucketKey, tableKey } from "./shard-keys.ts";
import { parseTable, textsOf } from "./shard-tables.ts";

const HOUR_MS = 3_600_000;

export interface DeviceTable {
  readonly redis: Redis;
  readonly shards: number;
}

export async function readDevice(
  { redis, shards }: DeviceTable,
  app: string,
  device: string,
): Promise<DeviceView | undefined> {
  const shard = shardOf(app, device, shards);
  const state = await readState(redis, shard, nameDevice(app, device));
  return state === undefined ? undefined : viewOf(redis, shard, state);
}

/** The same by the name in the device table, 16 hexadecimal digits, which does not say the shard. */
export async function readDeviceByDigest(
  { redis, shards }: DeviceTable,
  digest: string,
): Promise<DeviceView | undefined> {
  const name = nameOf(Buffer.from(digest, "hex").toString("latin1"));
  const states = await Promise.all(
    Array.from({ length: shards }, (_, shard) => readState(redis, shard, name)),
  );
  const shard = states.findIndex((state) => state !== undefined);
  return shard === -1 ? undefined : viewOf(redis, shard, states[shard]!);
}

async function readState(
  redis: Redis,
  shard: number,
  { bucket, field }: DeviceName,
): Promise<DeviceState | undefined> {
  const bytes = await redis.hgetBuffer(deviceBucketKey(shard, bucket), Buffer.from(field, "latin1"));
  return bytes === null ? undefined : tryDecodeDeviceState(bytes);
}

async function viewOf(redis: Redis, shard: number, state: DeviceState): Promise<DeviceView> {
  const { heard, running, records } = state;
  const [releaseRows, stratumText, reasonText] = await Promise.all([
    redis.hgetall(tableKey(shard, "releases")),
    readTexts(redis, shard, "strata"),
    readTexts(redis, shard, "reasons"),
  ]);
  const texts = textsOf(parseTable(releaseRows));
  const runningText = running === undefined ? undefined : texts.get(running.release);
  const known = [...records].flatMap(([release, record]): [string, ReleaseRecord][] => {
    const text = texts.get(release);
    return text === undefined ? [] : [[text, record]];
  });
  const outcomes = known.map(([text, { flags }]) => {
    const counts = toOutcomeCounts(outcomesOf(flags));
    return [text, { ...counts, running: Number(text === runningText) }] as const;
  });
  return {
    lastSeenAtMs: heard!.atSecond * 1_000,
    running: runningText === undefined ? undefined : parseReleaseKey(runningText),
    runningToldAtMs: runningText === undefined ? 0 : running!.atSecond * 1_000,
    releases: new Map(outcomes),
    times: new Map(known.map(([text, record]) => [text, timesOf(record, { stratumText, reasonText })])),
  };
}

type TextOf = (number: number) => string;

function timesOf(
  record: ReleaseRecord,
  { stratumText, reasonText }: { stratumText: TextOf; reasonText: TextOf },
): DeviceTimes {
  const { newest, active, crashed, notResponding } = record.hours;
  const countHours = (bits: bigint): number => hoursOf(newest, bits).length;
  return {
    attemptedAtMs: record.attemptMinute * 60_000,
    answeredAtMs: record.answerMinute * 60_000,
    firstCrashAtMs: record.firstCrashHour * HOUR_MS,
    firstNotRespondingAtMs: record.firstNotRespondingHour * HOUR_MS,
    lastUsedAtMs: newest * HOUR_MS,
    hours: {
      active: countHours(active),
      crashed: countHours(crashed),
      notResponding: countHours(notResponding),
    },
    stratum: stratumText(record.stratum),
    reasons: record.reasons.map(reasonText),
  };
}
