// One shard on a real Redis, for tests: reports go in through ingest's own stream writer, at a time that the
// test chooses, and are folded by the fold job. Beside it the naive model of counting hears the same. Enters:
// a connection. Leaves: a shard to tell, fold and look into.
import { expect } from "vitest";
import { DEFAULT_COUNTING_RULES, SILENCE_DEADLINE_MS_DEFAULT } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import type { OutcomeCounts } from "../../agent/health/outcomes.ts";
import { dueMinutesKey } from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard, planOf } from "../../agent/jobs/fold-shard.ts";
import type { FoldResult, FoldShardOptions } from "../../agent/jobs/fold-shard.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createNaiveCounts } from "./naive-counts.ts";
import type { NaiveCounts } from "./naive-counts.ts";
import { readCounts } from "./read-counts.ts";
import { listKeys } from "./redis-kinds.ts";
import { releaseOf } from "./verdicts.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
/** A whole minute, hour and half day. */
export const NOON_MS = Date.UTC(2026, 0, 31, 12);
export const DEADLINE_MS = SILENCE_DEADLINE_MS_DEFAULT;
/** When a device that began at noon is silent: the minute in which it was heard is over, and then the deadline. */
export const DUE_MS = NOON_MS + MINUTE_MS + DEADLINE_MS;

/** A report about 1.4.0 of the till, unless it says otherwise. */
export type Told = Pick<DeviceReport, "device" | "event"> & Partial<DeviceReport>;

export interface TestShard {
  /** The time of ingest and of the agent, epoch milliseconds. */
  nowMs: number;
  /** As another agent has it: nothing is remembered. */
  openStore(): ShardStore;
  readonly health: HealthStore;
  readonly model: NaiveCounts;
  /** Received now. */
  tell(...reports: readonly Told[]): Promise<void>;
  /** Folds all that waits, and looks for silence; having listened since the beginning, unless told otherwise. */
  fold(options?: Partial<FoldShardOptions>): Promise<FoldResult>;
  /** At this time, which stays. */
  foldAt(nowMs: number, options?: Partial<FoldShardOptions>): Promise<FoldResult>;
  /** Folds one batch, and does not look for silence. */
  foldWaiting(): Promise<void>;
  /** Outcomes of 1.4.0, or another version. */
  devices(version?: string): Promise<OutcomeCounts>;
  /** Keys of the index of deadlines; none = it takes no memory. */
  indexKeys(): Promise<string[]>;
}

/** `till-0`, `till-1`, and so on. */
export function names(count: number, prefix = "till"): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** What the devices say, each the same. */
export function each(devices: readonly string[], event: DeviceEvent): Told[] {
  return devices.map((device) => ({ device, event }));
}

/** These outcomes; and all else that is counted, with every stratum and window, is what the model counts. */
export async function expectDevices(
  shard: TestShard,
  expected: Partial<OutcomeCounts>,
  version?: string,
): Promise<void> {
  expect(await shard.devices(version)).toMatchObject(expected);
  expect(await readCounts(shard.health)).toEqual(shard.model.counts());
}

export function createTestShard(redis: Redis): TestShard {
  const model = createNaiveCounts();
  const health = createHealthStore({ redis, shards: 1 });
  const openStore = (): ShardStore => createShardStore({ redis, shard: 0 });
  const clock = (): number => shard.nowMs;
  const writer = createStreamWriter({ redis, shards: 1, streamEntriesMax: 100_000, clock });
  const shard: TestShard = {
    nowMs: NOON_MS,
    openStore,
    health,
    model,
    async tell(...told) {
      const reports = told.map((one): DeviceReport => ({ ...releaseOf("1.4.0"), ...one }));
      const { kind } = await writer.write(reports);
      if (kind !== "written") throw new Error(`reports were not taken: ${kind}`);
      for (const report of reports) model.tell(report, shard.nowMs);
    },
    async fold(options = {}) {
      const heardFromMs = options.heardFromMs ?? (() => Promise.resolve(0));
      const result = await foldShard({
        store: openStore(),
        rules: DEFAULT_COUNTING_RULES,
        onChange: () => {},
        isStopping: () => false,
        nowMs: clock,
        ...options,
        heardFromMs,
      });
      const fromMs = await heardFromMs(shard.nowMs);
      if (fromMs !== undefined) model.look(shard.nowMs, { heardFromMs: fromMs });
      return result;
    },
    foldAt(nowMs, options) {
      shard.nowMs = nowMs;
      return shard.fold(options);
    },
    async foldWaiting() {
      const store = openStore();
      const batch = (await store.readBatch(await store.readPosition()))!;
      const plan = await planOf(batch, { store, rules: DEFAULT_COUNTING_RULES });
      expect(await store.commitBatch(batch, plan)).toBe("committed");
    },
    indexKeys: () => listKeys(redis, `${dueMinutesKey(0)}*`),
    devices: async (version = "1.4.0") => (await health.readRelease(releaseOf(version))).devices,
  };
  return shard;
}
