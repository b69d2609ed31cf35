// Reads what an incident comes down to: which channels have a version, which devices stand behind its counts, and what is
// known of one device. Enters: names. Leaves: releases, lists of devices, a device. Nothing is derived here.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { readDevice, readDeviceByDigest } from "./device-view.ts";
import type { DeviceView } from "./health-window.ts";
import type { ReleasePlace } from "./release-counts.ts";
import { tableKey } from "./shard-keys.ts";
import { readExamples } from "./stored-examples.ts";
import type { ReleaseExamples } from "./stored-examples.ts";

export interface IncidentReader {
  /** Undefined for a device that never reported, or has left. */
  readDevice(app: string, device: string): Promise<DeviceView | undefined>;
  /** The same by the device's name in the table: 16 hexadecimal digits. */
  readDeviceByDigest(digest: string): Promise<DeviceView | undefined>;
  /** Devices that stand in outcomes of the release. */
  readExamples(release: ReleaseKey): Promise<ReleaseExamples>;
  /** The version on every channel on which it was reported, by the channel's name. */
  findReleases(app: string, version: string): Promise<ReleaseKey[]>;
}

export interface IncidentReaderDeps {
  readonly redis: Redis;
  readonly shards: number;
  readonly locate: (release: ReleaseKey) => Promise<ReleasePlace[]>;
}

export function createIncidentReader({ redis, shards, locate }: IncidentReaderDeps): IncidentReader {
  return {
    readDevice: (app, device) => readDevice({ redis, shards }, app, device),
    readDeviceByDigest: (digest) => readDeviceByDigest({ redis, shards }, digest),
    readExamples: async (release) => readExamples(redis, await locate(release)),
    async findReleases(app, version) {
      const [prefix, suffix] = [`${app}|`, `|${version}`];
      const found = new Set<string>();
      // One after the other: a table may have tens of thousands of rows, and others have their turn in between.
      for (let shard = 0; shard < shards; shard += 1)
        for (const text of await redis.hkeys(tableKey(shard, "releases")))
          if (text.startsWith(prefix) && text.endsWith(suffix)) found.add(text);
      return [...found].toSorted().map(parseReleaseKey);
    },
  };
}
