// Silence, from the stream to the counts, on a real Redis: devices that said they began and nothing since.
// Found at the deadline and not before, counted once, taken off again when they come back, found without
// reading anybody else; and never found while nobody could have heard them.
import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { DUE_DEVICES_MAX } from "../../agent/health/deadline-index.ts";
import { FIELD_BYTES } from "../../agent/health/device-table.ts";
import {
  countsKey,
  deviceBucketKey,
  dueDevicesKey,
  dueMinutesKey,
  windowsKey,
} from "../../agent/health/shard-keys.ts";
import { heardFromMs } from "../../ingest/contract/listening.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import type { Redis } from "../../runtime/redis.ts";
import { recordCommands } from "../support/recorded-commands.ts";
import { listKeys } from "../support/redis-kinds.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import {
  DEADLINE_MS,
  DUE_MS,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  each,
  expectDevices,
  names,
} from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { TILL, releaseOf, version } from "../support/verdicts.ts";

const DUE_MINUTE = DUE_MS / MINUTE_MS;

let redis: Redis;
let shard: TestShard;
useShardForEach((...opened) => ([redis, shard] = opened));

describe("the deadline", () => {
  it.each([0, 1, 59_999])(
    "of a device heard %i ms after the minute is over a whole minute and a deadline after it, to the ms",
    async (afterMinuteMs) => {
      shard.nowMs = NOON_MS + afterMinuteMs;
      await shard.tell(...each(["till-1"], "update_started"));
      await shard.fold();
      await shard.foldAt(DUE_MS - 1);
      await expectDevices(shard, { announced: 1, silent: 0 });
      await shard.foldAt(DUE_MS);
      await expectDevices(shard, { announced: 1, silent: 1, returned_late: 0 });
    },
  );

  it("runs from when the word came in, not from the time that the device tells", async () => {
    await shard.tell(
      { device: "slow-clock", event: "update_started", at: NOON_MS - 20 * HOUR_MS },
      { device: "fast-clock", event: "update_started", at: NOON_MS + 4 * MINUTE_MS },
    );
    await shard.foldAt(DUE_MS - 1);
    await expectDevices(shard, { silent: 0 });
    await shard.foldAt(DUE_MS);
    await expectDevices(shard, { silent: 2 });
  });

  it("is the channel's own", async () => {
    const soonMs = 5 * MINUTE_MS;
    const rules = {
      ...DEFAULT_COUNTING_RULES,
      silenceDeadlineMsOf: ({ channel }: { channel: string }) => (channel === "beta" ? soonMs : DEADLINE_MS),
    };
    const beta = { ...TILL, channel: "beta" as typeof TILL.channel };
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.tell({ ...beta, device: "till-2", event: "installed" });
    const silentOn = async (): Promise<number[]> =>
      Promise.all(
        [TILL, beta].map(async (key) => {
          const { devices } = await shard.health.readRelease(releaseOf("1.4.0", key));
          return devices.silent;
        }),
      );
    await shard.foldAt(NOON_MS + MINUTE_MS + soonMs - 1, { rules });
    expect(await silentOn()).toEqual([0, 0]);
    await shard.foldAt(NOON_MS + MINUTE_MS + soonMs, { rules });
    expect(await silentOn()).toEqual([0, 1]);
    await shard.foldAt(DUE_MS, { rules });
    expect(await silentOn()).toEqual([1, 1]);
  });

  it.each([
    ["longer", DEADLINE_MS + HOUR_MS, DUE_MS + HOUR_MS],
    ["shorter, where its minute in the index is", DEADLINE_MS - HOUR_MS, DUE_MS],
  ])("is the one of today: %s", async (_, deadlineMs, foundMs) => {
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.fold();
    const rules = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => deadlineMs };
    for (const nowMs of [DUE_MS - 1, foundMs - 1]) {
      await shard.foldAt(nowMs, { rules });
      expect((await shard.devices()).silent).toBe(0);
    }
    await shard.foldAt(foundMs, { rules });
    expect((await shard.devices()).silent).toBe(1);
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("that ends within a minute is looked at when the minute is over", async () => {
    const rules = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => DEADLINE_MS + 1 };
    await shard.tell(...each(["till-1"], "update_started"));
    for (const nowMs of [DUE_MS, DUE_MS + 1, DUE_MS + MINUTE_MS - 1]) {
      await shard.foldAt(nowMs, { rules });
      expect((await shard.devices()).silent).toBe(0);
    }
    await shard.foldAt(DUE_MS + MINUTE_MS, { rules });
    expect((await shard.devices()).silent).toBe(1);
  });

  it("of a word sent again is the first one's; a new word begins another", async () => {
    const again = { device: "till-1", event: "update_started", at: NOON_MS } as const;
    await shard.tell(again, { ...again, device: "till-2" });
    await shard.fold();
    shard.nowMs += 2 * HOUR_MS;
    await shard.tell(again, { device: "till-2", event: "installed" });
    await shard.fold();
    await shard.foldAt(DUE_MS);
    await expectDevices(shard, { silent: 1 });
    await shard.foldAt(DUE_MS + 2 * HOUR_MS - 1);
    await expectDevices(shard, { silent: 1 });
    await shard.foldAt(DUE_MS + 2 * HOUR_MS);
    await expectDevices(shard, { silent: 2, returned_late: 0 });
  });

  it("that passed while nobody folded is found by the fold that comes", async () => {
    await shard.tell(...each(["till-1", "till-2"], "update_started"));
    await shard.foldAt(DUE_MS + 20 * HOUR_MS);
    await expectDevices(shard, { silent: 2 });
    expect(await shard.indexKeys()).toEqual([]);
  });
});

describe("a silent device", () => {
  beforeEach(async () => {
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.foldAt(DUE_MS);
  });

  it("is counted once, however often and late somebody looks", async () => {
    for (const laterMs of [0, 1, MINUTE_MS, DEADLINE_MS, 30 * DEADLINE_MS])
      await shard.foldAt(DUE_MS + laterMs);
    await expectDevices(shard, { announced: 1, silent: 1, returned_late: 0 });
  });

  it.each<[what: string, event: DeviceEvent]>([
    ["has come through", "confirmed"],
    ["is in use", "active"],
    ["crashed", "crashed"],
    ["has failed", "reverted"],
    ["could not download", "download_failed"],
  ])("that says it %s is silent no more, and has returned late, for good", async (_, event) => {
    shard.nowMs += HOUR_MS;
    await shard.tell({ device: "till-1", event });
    await shard.fold();
    await expectDevices(shard, { silent: 0, returned_late: 1, [event]: 1 });
    await shard.foldAt(DUE_MS + 10 * DEADLINE_MS);
    await expectDevices(shard, { silent: 0, returned_late: 1 });
  });

  it("that said it long ago, and was only heard now, is silent no more", async () => {
    await shard.tell({ device: "till-1", event: "confirmed", at: NOON_MS - HOUR_MS });
    await shard.fold();
    await expectDevices(shard, { silent: 0, returned_late: 1, confirmed: 1 });
  });

  it("stays silent with the same word again, and with one from before it fell silent", async () => {
    await shard.tell({ device: "till-1", event: "update_started", at: NOON_MS });
    await shard.tell({ device: "till-1", event: "download_failed", at: NOON_MS - HOUR_MS });
    await shard.fold();
    await expectDevices(shard, { silent: 1, returned_late: 0, download_failed: 1 });
    // Put aside when it came in, before the one that was counted, and put back now.
    shard.nowMs = NOON_MS - MINUTE_MS;
    await shard.tell({ device: "till-1", event: "update_started", at: NOON_MS });
    await shard.foldAt(DUE_MS + HOUR_MS);
    await expectDevices(shard, { announced: 1, silent: 1, returned_late: 0 });
  });

  it("that begins again may fall silent again", async () => {
    shard.nowMs = DUE_MS + HOUR_MS;
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.fold();
    await expectDevices(shard, { silent: 0, returned_late: 1 });
    await shard.foldAt(DUE_MS + HOUR_MS + MINUTE_MS + DEADLINE_MS - 1);
    await expectDevices(shard, { silent: 0, returned_late: 1 });
    await shard.foldAt(DUE_MS + HOUR_MS + MINUTE_MS + DEADLINE_MS);
    await expectDevices(shard, { announced: 1, silent: 1, returned_late: 1 });
  });

  it("that turns to another release is silent about that one only", async () => {
    shard.nowMs = DUE_MS + HOUR_MS;
    await shard.tell({ device: "till-1", event: "installed", version: version("1.5.0") });
    await shard.foldAt(DUE_MS + 2 * HOUR_MS + DEADLINE_MS);
    await expectDevices(shard, { silent: 0, returned_late: 1 });
    await expectDevices(shard, { silent: 1, returned_late: 0 }, "1.5.0");
  });
});

describe("the index of deadlines", () => {
  it("costs 8 bytes for each device that owes a word, and nothing once its minute has passed", async () => {
    await shard.tell(...each(names(100), "update_started"));
    await shard.tell(...each(names(50, "other"), "confirmed"));
    await shard.fold();
    expect(await shard.indexKeys()).toEqual([dueMinutesKey(0), dueDevicesKey(0, DUE_MINUTE)].toSorted());
    expect(await redis.strlen(dueDevicesKey(0, DUE_MINUTE))).toBe(100 * FIELD_BYTES);
    await shard.foldAt(DUE_MS);
    expect(await shard.indexKeys()).toEqual([]);
    await expectDevices(shard, { silent: 100 });
  });

  it("finds who is due without reading any other device", async () => {
    shard.nowMs = NOON_MS - HOUR_MS;
    await shard.tell(...each(names(3), "update_started"));
    shard.nowMs = NOON_MS;
    await shard.tell(...each(names(2_000, "later"), "update_started"));
    await shard.tell(...each(names(2_000, "idle"), "active"));
    await shard.fold();
    const deviceReads = (commands: readonly (readonly string[])[]) =>
      commands.filter(([, key = ""]) => key.startsWith(deviceBucketKey(0, 0).slice(0, -1)));

    const whileNoneIsDue = await recordCommands(redis, () => shard.foldAt(DUE_MS - HOUR_MS - 1));
    expect(deviceReads(whileNoneIsDue)).toEqual([]);
    expect(whileNoneIsDue.map(([name]) => name)).not.toContain("getrange");

    const commands = await recordCommands(redis, () => shard.foldAt(DUE_MS - HOUR_MS));
    const [reads, writes] = [["hmget"], ["hset"]].map(([name]) =>
      deviceReads(commands).filter((command) => command[0] === name),
    );
    expect(deviceReads(commands)).toHaveLength(reads!.length + writes!.length);
    // Bucket and fields; for a write, bucket, field and state.
    expect(reads!.flatMap(([, , ...fields]) => fields)).toHaveLength(3);
    expect(writes!.flatMap(([, , ...pairs]) => pairs)).toHaveLength(3 * 2);
    await expectDevices(shard, { announced: 2_003, silent: 3 });
  });

  it("holds devices that have answered; they are looked at, and nothing changes", async () => {
    await shard.tell(...each(names(10), "update_started"));
    await shard.fold();
    shard.nowMs += HOUR_MS;
    await shard.tell(...each(names(10), "confirmed"));
    await shard.fold();
    for (const one of await shard.health.listDirty()) await shard.health.clearDirty(one);
    await shard.foldAt(DUE_MS);
    await expectDevices(shard, { announced: 10, confirmed: 10, silent: 0, returned_late: 0 });
    expect(await shard.indexKeys()).toEqual([]);
    expect(await shard.health.listDirty()).toEqual([]);
  });

  it("holds a device in the minutes of all its words, and in one of them once", async () => {
    const words = [0, 10_000, 20_000, 10 * MINUTE_MS, 10 * MINUTE_MS + 1_000];
    for (const afterMs of words) {
      shard.nowMs = NOON_MS + afterMs;
      await shard.tell(...each(["till-1"], "update_started"));
      await shard.fold();
    }
    expect(await redis.strlen(dueDevicesKey(0, DUE_MINUTE))).toBe(FIELD_BYTES);
    await shard.foldAt(DUE_MS);
    await expectDevices(shard, { silent: 0 });
    await shard.foldAt(DUE_MS + 10 * MINUTE_MS);
    await expectDevices(shard, { announced: 1, silent: 1, returned_late: 0 });
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("holds a device that has left meanwhile, or never was; nobody minds", async () => {
    await shard.tell(...each(["till-1", "till-2"], "update_started"));
    await shard.fold();
    const bucketKeys = await listKeys(redis, `${deviceBucketKey(0, 0).slice(0, -1)}*`);
    await redis.del(...bucketKeys);
    await redis.append(dueDevicesKey(0, DUE_MINUTE), Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]));
    await shard.foldAt(DUE_MS);
    expect((await shard.devices()).silent).toBe(0);
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("outlives a release: nobody is silent about one that has retired, and no count comes back", async () => {
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.tell({ device: "till-2", event: "confirmed", version: version("1.5.0") });
    await shard.fold();
    const store = shard.openStore();
    const { revision } = await store.readPosition();
    expect(await store.retireReleases(revision, TILL)).toBe("committed");
    expect((await shard.health.listReleases()).map(({ version }) => version)).toEqual(["1.5.0"]);

    await shard.foldAt(DUE_MS);
    expect(await shard.indexKeys()).toEqual([]);
    expect(await redis.exists(countsKey(0, 1), windowsKey(0, 1))).toBe(0);
    // What it says now is about a release that begins anew.
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.foldAt(DUE_MS + MINUTE_MS + DEADLINE_MS);
    expect(await shard.devices()).toMatchObject({ announced: 1, silent: 1, returned_late: 0 });
    expect(await shard.devices("1.5.0")).toMatchObject({ confirmed: 1, silent: 0 });
  });
});

describe("while nobody listens", () => {
  const deaf = () => Promise.resolve(undefined);
  const heardFrom = (ms: number) => () => Promise.resolve(ms);

  it("nobody is silent, however long, and nobody is forgotten", async () => {
    await shard.tell(...each(names(3), "update_started"));
    await shard.fold();
    const before = await shard.indexKeys();
    for (const laterMs of [0, HOUR_MS, 100 * DEADLINE_MS]) {
      await shard.foldAt(DUE_MS + laterMs, { heardFromMs: deaf });
      await expectDevices(shard, { silent: 0 });
    }
    expect(await shard.indexKeys()).toEqual(before);
    await shard.foldAt(DUE_MS + 100 * DEADLINE_MS, { heardFromMs: heardFrom(NOON_MS) });
    await expectDevices(shard, { silent: 3 });
  });

  it("a clock that was ahead while it looked, and is right again when it asks, makes nobody silent", async () => {
    await shard.tell(...each(names(3), "update_started"));
    await shard.fold();
    const listening = { kind: "listening", sinceMs: NOON_MS, lastMs: NOON_MS + MINUTE_MS } as const;
    await shard.foldAt(DUE_MS, {
      heardFromMs(nowMs) {
        shard.nowMs = listening.lastMs;
        return Promise.resolve(heardFromMs(listening, nowMs));
      },
    });
    await expectDevices(shard, { silent: 0 });
  });

  it("deadlines wait: after a gap each begins anew, and is over to the ms", async () => {
    const backMs = NOON_MS + 4 * HOUR_MS;
    await shard.tell(...each(names(DUE_DEVICES_MAX + 1), "update_started"));
    await shard.foldAt(DUE_MS, { heardFromMs: heardFrom(backMs) });
    await expectDevices(shard, { silent: 0 });
    // They have moved to the minute in which they are due now.
    const movedTo = (backMs + DEADLINE_MS) / MINUTE_MS;
    expect(await shard.indexKeys()).toEqual([dueMinutesKey(0), dueDevicesKey(0, movedTo)].toSorted());
    expect(await redis.strlen(dueDevicesKey(0, movedTo))).toBe((DUE_DEVICES_MAX + 1) * FIELD_BYTES);
    await shard.foldAt(backMs + DEADLINE_MS - 1, { heardFromMs: heardFrom(backMs) });
    await expectDevices(shard, { silent: 0 });
    await shard.foldAt(backMs + DEADLINE_MS, { heardFromMs: heardFrom(backMs) });
    await expectDevices(shard, { silent: DUE_DEVICES_MAX + 1 });
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("again and again: each gap moves the deadlines on", async () => {
    await shard.tell(...each(["till-1"], "update_started"));
    for (let gap = 1; gap <= 3; gap += 1) {
      const backMs = NOON_MS + gap * 5 * HOUR_MS;
      await shard.foldAt(backMs + DEADLINE_MS - 1, { heardFromMs: heardFrom(backMs) });
      await expectDevices(shard, { silent: 0 });
    }
    await shard.foldAt(NOON_MS + 15 * HOUR_MS + DEADLINE_MS, {
      heardFromMs: heardFrom(NOON_MS + 15 * HOUR_MS),
    });
    await expectDevices(shard, { silent: 1 });
  });

  it("a silent device stays silent, and one that comes back has returned late", async () => {
    await shard.tell(...each(["till-1", "till-2"], "update_started"));
    await shard.foldAt(DUE_MS);
    shard.nowMs = DUE_MS + HOUR_MS;
    await shard.tell({ device: "till-1", event: "confirmed" });
    await shard.fold({ heardFromMs: deaf });
    await expectDevices(shard, { silent: 1, returned_late: 1 });
  });

  it("listening is asked about only when a deadline has passed", async () => {
    let asked = 0;
    const heardFromMs = (): Promise<number> => {
      asked += 1;
      return Promise.resolve(0);
    };
    await shard.tell(...each(names(2 * DUE_DEVICES_MAX), "update_started"));
    await shard.foldAt(DUE_MS - 1, { heardFromMs });
    // Once by the test's own model, each time; and once before each of the three commits.
    expect(asked).toBe(1);
    await shard.foldAt(DUE_MS, { heardFromMs });
    expect(asked).toBe(1 + 3 + 1);
    await expectDevices(shard, { silent: 2 * DUE_DEVICES_MAX });
  });
});
