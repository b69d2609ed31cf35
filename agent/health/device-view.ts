// What is known of one device: when it was last heard of, what it runs, and how it stands with each release.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { tryDecodeDeviceState } from "./device-state.ts";
import { nameDevice, shardOf } from "./device-table.ts";
import type { DeviceView } from "./health-window.ts";
import { outcomesOf, toOutcomeCounts } from "./outcomes.ts";
import { deviceBucketKey, tableKey } from "./shard-keys.ts";
import { parseTable, textsOf } from "./shard-tables.ts";

export async function readDevice({
  redis,
  shards,
  app,
  device,
}: {
  redis: Redis;
  shards: number;
  app: string;
  device: string;
}): Promise<DeviceView | undefined> {
  const shard = shardOf(app, device, shards);
  const { bucket, field } = nameDevice(app, device);
  const bytes = await redis.hgetBuffer(deviceBucketKey(shard, bucket), Buffer.from(field, "latin1"));
  if (bytes === null) return undefined;
  const state = tryDecodeDeviceState(bytes);
  if (state === undefined) return undefined;
  const { heard, running, records } = state;
  const texts = textsOf(parseTable(await redis.hgetall(tableKey(shard, "releases"))));
  const runningText = running === undefined ? undefined : texts.get(running.release);
  const releases = [...records].flatMap(([release, { flags }]) => {
    const text = texts.get(release);
    if (text === undefined) return [];
    return [
      [text, { ...toOutcomeCounts(outcomesOf(flags)), running: Number(text === runningText) }] as const,
    ];
  });
  return {
    lastSeenAtMs: heard!.atSecond * 1_000,
    running: runningText === undefined ? undefined : parseReleaseKey(runningText),
    releases: new Map(releases),
  };
}
