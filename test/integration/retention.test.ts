// Devices that nobody has heard of for the retention, on a real Redis: they leave at exactly that time, run
// nothing any more, and all else that they did stays counted; whoever hears of one meanwhile keeps it.
import { describe, expect, it } from "vitest";
import { DEVICE_BUCKETS, nameDevice } from "../../agent/health/device-table.ts";
import { deviceBucketKey } from "../../agent/health/shard-keys.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { dropUnseenDevices } from "../../agent/jobs/retention.ts";
import type { RetentionOptions } from "../../agent/jobs/retention.ts";
import type { Redis } from "../../runtime/redis.ts";
import { readDeviceView } from "../support/read-counts.ts";
import { listKeys } from "../support/redis-kinds.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import {
  DAY_MS,
  DUE_MS,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  each,
  expectDevices,
  names,
} from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { TILL, version } from "../support/verdicts.ts";

const RETENTION_MS = 90 * DAY_MS;
const LEAVE_MS = NOON_MS + RETENTION_MS;

let redis: Redis;
let shard: TestShard;
useShardForEach((...opened) => ([redis, shard] = opened));

/** Leaves: how many devices have left. The model lets them go as well. */
async function dropAt(nowMs: number, options: Partial<RetentionOptions> = {}): Promise<number> {
  shard.nowMs = nowMs;
  const left = await drop(options);
  shard.model.leave(nowMs, RETENTION_MS);
  return left;
}

function drop(options: Partial<RetentionOptions> = {}): Promise<number> {
  return dropUnseenDevices({
    redis,
    store: shard.openStore(),
    nowMs: shard.nowMs,
    retentionMs: RETENTION_MS,
    isStopping: () => false,
    ...options,
  });
}

async function isKnown(device: string): Promise<boolean> {
  const view = await readDeviceView(shard.health, TILL.app, device);
  expect(view).toEqual(shard.model.device(TILL.app, device));
  return view !== undefined;
}

async function bucketKeys(): Promise<string[]> {
  return listKeys(redis, `${deviceBucketKey(0, 0).slice(0, -1)}*`);
}

describe("a device", () => {
  it.each([0, 999])(
    "heard %i ms after the second leaves at exactly the retention after the second",
    async (ms) => {
      shard.nowMs = NOON_MS + ms;
      await shard.tell({ device: "till-1", event: "confirmed" });
      await shard.fold();
      expect(await dropAt(LEAVE_MS - 1)).toBe(0);
      expect(await isKnown("till-1")).toBe(true);
      await expectDevices(shard, { confirmed: 1, running: 1 });
      expect(await dropAt(LEAVE_MS)).toBe(1);
      expect(await isKnown("till-1")).toBe(false);
      await expectDevices(shard, { confirmed: 1, attempted: 1, running: 0 });
      expect(await bucketKeys()).toEqual([]);
    },
  );

  it("stays for as long as its newest report, whatever that was about, and whenever it came in", async () => {
    await shard.tell({ device: "till-1", event: "confirmed" });
    await shard.tell({ device: "till-2", event: "confirmed" });
    shard.nowMs = NOON_MS + 3 * DAY_MS;
    await shard.tell({ device: "till-1", event: "download_failed", version: version("1.5.0") });
    // Late, and older than what is known.
    await shard.tell({ device: "till-2", event: "active", at: NOON_MS - HOUR_MS });
    await shard.fold();
    expect(await dropAt(LEAVE_MS)).toBe(1);
    expect([await isKnown("till-1"), await isKnown("till-2")]).toEqual([true, false]);
    expect(await dropAt(LEAVE_MS + 3 * DAY_MS - 1)).toBe(0);
    expect(await dropAt(LEAVE_MS + 3 * DAY_MS)).toBe(1);
    await expectDevices(shard, { confirmed: 2, active: 1, running: 0 });
  });

  it("that leaves runs nothing any more, in no stratum; all else it did stays counted", async () => {
    const kind = { platform: "android", model: "T1" };
    await shard.tell(
      ...names(3).flatMap((device) => [
        { device, event: "update_started" as const, ...kind },
        { device, event: "crashed" as const, ...kind },
        { device, event: "reverted" as const, reason: "no boot", ...kind },
        { device, event: "active" as const, version: version("1.3.0"), at: NOON_MS + MINUTE_MS },
      ]),
    );
    shard.nowMs += DAY_MS;
    await shard.tell({ device: "stays", event: "confirmed", ...kind });
    await shard.fold();
    expect(await shard.devices("1.3.0")).toMatchObject({ running: 3 });
    expect(await dropAt(LEAVE_MS + MINUTE_MS)).toBe(3);
    await expectDevices(shard, { attempted: 4, failed: 3, crashed: 3, running: 1 });
    await expectDevices(shard, { active: 3, running: 0 }, "1.3.0");
  });

  it("that comes back counts anew, like another one", async () => {
    await shard.tell({ device: "till-1", event: "confirmed" });
    await shard.fold();
    await dropAt(LEAVE_MS);
    await shard.tell({ device: "till-1", event: "confirmed" });
    await shard.fold();
    await expectDevices(shard, { confirmed: 2, attempted: 2, running: 1 });
    expect(await isKnown("till-1")).toBe(true);
    expect(await dropAt(LEAVE_MS + RETENTION_MS - 1)).toBe(0);
  });

  it("that was silent stays counted as silent; it can't come back late any more", async () => {
    await shard.tell({ device: "till-1", event: "update_started" });
    await shard.foldAt(DUE_MS);
    expect(await dropAt(LEAVE_MS)).toBe(1);
    await expectDevices(shard, { silent: 1 });
    await shard.tell({ device: "till-1", event: "confirmed" });
    await shard.fold();
    await expectDevices(shard, { announced: 1, attempted: 2, confirmed: 1, silent: 1, returned_late: 0 });
  });

  it("that leaves while it stands in the index of deadlines is looked for there in vain", async () => {
    await shard.tell({ device: "till-1", event: "update_started" });
    await shard.fold({ heardFromMs: () => Promise.resolve(undefined) });
    expect(await dropAt(LEAVE_MS)).toBe(1);
    await shard.fold();
    await expectDevices(shard, { announced: 1, silent: 0 });
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("whose release has retired leaves too, and brings no count back", async () => {
    await shard.tell({ device: "till-1", event: "confirmed" });
    await shard.tell({ device: "till-2", event: "confirmed", version: version("1.5.0") });
    await shard.fold();
    const store = shard.openStore();
    const { revision } = await store.readPosition();
    expect(await store.retireReleases(revision, TILL)).toBe("committed");
    shard.nowMs = LEAVE_MS;
    expect(await drop()).toBe(2);
    expect((await shard.health.listReleases()).map(({ version }) => version)).toEqual(["1.5.0"]);
    expect(await shard.devices("1.5.0")).toMatchObject({ confirmed: 1, running: 0 });
    expect(await shard.devices()).toMatchObject({ confirmed: 0, running: 0 });
  });
});

/** Devices that all stand in the first of the buckets that are read together. */
function neighbours(count: number): string[] {
  const devices: string[] = [];
  for (let index = 0; devices.length < count; index += 1)
    if (nameDevice(TILL.app, `till-${index}`).bucket < 16) devices.push(`till-${index}`);
  return devices;
}

describe("many devices", () => {
  it("of all buckets leave, and only they", async () => {
    const count = 3 * DEVICE_BUCKETS;
    await shard.tell(...each(names(count, "old"), "confirmed"));
    shard.nowMs += DAY_MS;
    await shard.tell(...each(names(count, "new"), "confirmed"));
    await shard.fold();
    expect(await dropAt(LEAVE_MS)).toBe(count);
    await expectDevices(shard, { confirmed: 2 * count, running: count });
    expect(await dropAt(LEAVE_MS + DAY_MS)).toBe(count);
    expect(await bucketKeys()).toEqual([]);
  });

  it.each([
    [1_000, [1_000]],
    [1_001, [1_000, 1]],
    [2_001, [1_000, 1_000, 1]],
  ])("%i of the same few buckets leave in commits of %j", async (count, sizes) => {
    await shard.tell(...each(neighbours(count), "active"));
    await shard.fold();
    const store = shard.openStore();
    const leaving: number[] = [];
    const commitVisit: ShardStore["commitVisit"] = (revision, plan) => {
      leaving.push([...plan.states.values()].reduce((sum, { size }) => sum + size, 0));
      return store.commitVisit(revision, plan);
    };
    expect(await dropAt(LEAVE_MS, { store: { ...store, commitVisit } })).toBe(count);
    expect(leaving).toEqual(sizes);
    await expectDevices(shard, { active: count, running: 0 });
    expect(await bucketKeys()).toEqual([]);
  });
});

describe("another agent", () => {
  it("that folds a report of the device meanwhile keeps it", async () => {
    await shard.tell(...each(["till-1", "till-2"], "confirmed"));
    await shard.fold();
    shard.nowMs = LEAVE_MS;
    const store = shard.openStore();
    let reports = 1;
    const readStates: ShardStore["readStates"] = async (revision, devices) => {
      const states = await store.readStates(revision, devices);
      if (reports-- > 0) {
        await shard.tell({ device: "till-1", event: "active" });
        await shard.foldWaiting();
      }
      return states;
    };
    expect(await dropAt(LEAVE_MS, { store: { ...store, readStates } })).toBe(1);
    expect([await isKnown("till-1"), await isKnown("till-2")]).toEqual([true, false]);
    await expectDevices(shard, { confirmed: 2, active: 1, running: 1 });
  });

  it("that folds all the time is not fought for ever; nothing is done by halves", async () => {
    await shard.tell(...each(["till-1", "till-2"], "confirmed"));
    await shard.fold();
    shard.nowMs = LEAVE_MS;
    const store = shard.openStore();
    let folds = 0;
    const readStates: ShardStore["readStates"] = async (revision, devices) => {
      await shard.tell({ device: "busy", event: "active" });
      await shard.foldWaiting();
      folds += 1;
      return store.readStates(revision, devices);
    };
    expect(await drop({ store: { ...store, readStates } })).toBe(0);
    expect(folds).toBe(21);
    await expectDevices(shard, { confirmed: 2, active: 1, running: 3 });
    // The next day.
    expect(await dropAt(LEAVE_MS + DAY_MS)).toBe(2);
    await expectDevices(shard, { confirmed: 2, active: 1, running: 1 });
  });

  it("that drops them at the same time counts none of them twice", async () => {
    await shard.tell(...each(names(1_500), "confirmed"));
    await shard.fold();
    shard.nowMs = LEAVE_MS;
    const left = await Promise.all([drop(), drop()]);
    shard.model.leave(LEAVE_MS, RETENTION_MS);
    expect(left[0] + left[1]).toBe(1_500);
    await expectDevices(shard, { confirmed: 1_500, running: 0 });
  });

  it("one that is told to stop leaves the rest for the next time", async () => {
    await shard.tell(...each(names(2_000), "confirmed"));
    await shard.fold();
    shard.nowMs = LEAVE_MS;
    const store = shard.openStore();
    let commits = 0;
    const commitVisit: ShardStore["commitVisit"] = (revision, plan) => {
      commits += 1;
      return store.commitVisit(revision, plan);
    };
    const left = await drop({ store: { ...store, commitVisit }, isStopping: () => commits === 2 });
    expect((await shard.devices()).running).toBe(2_000 - left);
    expect(left).toBeLessThan(1_000);
    expect(await dropAt(LEAVE_MS)).toBe(2_000 - left);
    await expectDevices(shard, { confirmed: 2_000, running: 0 });
  });
});
