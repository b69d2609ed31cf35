// Windows that age, on a real Redis: 1 minute becomes 5 and then an hour, and after 90 days they leave. No sum
// ever changes, whatever comes late and whoever folds meanwhile, and releases that rest are not read.
import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { countsKey, fineKey, metaKey, windowsKey } from "../../agent/health/shard-keys.ts";
import { planOf } from "../../agent/jobs/fold-shard.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import type { RollUpOptions } from "../../agent/jobs/roll-up.ts";
import { EVENTS } from "../../ingest/contract/device-report.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createRandom } from "../simulation/random.ts";
import type { SlotOf } from "../support/naive-counts.ts";
import { readCounts } from "../support/read-counts.ts";
import { recordCommands } from "../support/recorded-commands.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS } from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { TILL, releaseOf, version } from "../support/verdicts.ts";

const RETENTION_MS = 90 * DAY_MS;

let redis: Redis;
let shard: TestShard;
useShardForEach((...opened) => ([redis, shard] = opened));

/** Of noon's day. */
function timeOf(text: string): number {
  return Date.parse(`2026-01-31T${text}Z`);
}

/** A device of its own begins at each of these times, and says so at once. */
async function beginAt(...times: readonly string[]): Promise<void> {
  for (const time of times) {
    shard.nowMs = timeOf(time);
    await shard.tell({ device: `till-${time}`, event: "update_started" });
    await shard.fold();
  }
}

function rollUpAt(nowMs: number, options: Partial<RollUpOptions> = {}): Promise<number> {
  return rollUpShard({ redis, shard: 0, nowMs, which: "fine", isStopping: () => false, ...options });
}

/** `09:55/5 1`: first minute, length, devices that attempted; of 1.4.0 or another version. */
async function slots(text = "1.4.0"): Promise<string[]> {
  const windows = await shard.health.readWindows(releaseOf(text));
  return windows.map(({ slotMinute, slotMinutes, devices }) => {
    const time = new Date(slotMinute * MINUTE_MS)
      .toISOString()
      .slice("2026-01-31T".length, -":00.000Z".length);
    return `${time}/${slotMinutes} ${devices.attempted}`;
  });
}

describe("windows of 1 minute", () => {
  beforeEach(() => beginAt("09:57", "09:58", "09:59:59.999", "10:00", "10:01", "11:59:59"));
  const fine = ["09:57/1 1", "09:58/1 1", "09:59/1 1", "10:00/1 1", "10:01/1 1", "11:59/1 1"];

  it("are what folding makes", async () => {
    expect(await slots()).toEqual(fine);
  });

  it("stay for 2 hours, until the hour is over", async () => {
    expect(await rollUpAt(timeOf("11:59:59.999"))).toBe(0);
    expect(await slots()).toEqual(fine);
    expect(await rollUpAt(NOON_MS)).toBe(3);
    const rolled = ["09:55/5 3", "10:00/1 1", "10:01/1 1", "11:59/1 1"];
    expect(await slots()).toEqual(rolled);
    expect(await rollUpAt(timeOf("12:59:59.999"))).toBe(0);
    expect(await slots()).toEqual(rolled);
    expect(await rollUpAt(timeOf("13:00"))).toBe(2);
    expect(await slots()).toEqual(["09:55/5 3", "10:00/5 2", "11:59/1 1"]);
  });

  it("become hours at once when nobody rolled up for days", async () => {
    await rollUpAt(NOON_MS + 3 * DAY_MS);
    expect(await slots()).toEqual(["09:00/60 3", "10:00/60 2", "11:00/60 1"]);
  });
});

describe("windows of 5 minutes", () => {
  beforeEach(async () => {
    await beginAt("10:00", "10:04", "10:05", "10:59", "11:00");
    await rollUpAt(timeOf("14:00"));
  });
  const middle = ["10:00/5 2", "10:05/5 1", "10:55/5 1", "11:00/5 1"];

  it("stay for 48 hours, until the hour is over", async () => {
    expect(await slots()).toEqual(middle);
    await rollUpAt(timeOf("10:59:59.999") + 2 * DAY_MS);
    expect(await slots()).toEqual(middle);
    await rollUpAt(timeOf("11:00") + 2 * DAY_MS);
    expect(await slots()).toEqual(["10:00/60 4", "11:00/5 1"]);
  });
});

describe("windows of an hour", () => {
  beforeEach(async () => {
    await beginAt("10:04", "11:00");
    await rollUpAt(NOON_MS + 3 * DAY_MS);
  });

  it("leave after 90 days, until the hour is over; what they held stays in the totals", async () => {
    const totals = await shard.health.readRelease(releaseOf("1.4.0"));
    await rollUpAt(timeOf("10:59:59.999") + RETENTION_MS, { which: "all" });
    expect(await slots()).toEqual(["10:00/60 1", "11:00/60 1"]);
    expect(await rollUpAt(timeOf("11:00") + RETENTION_MS, { which: "all" })).toBe(1);
    expect(await slots()).toEqual(["11:00/60 1"]);
    await rollUpAt(timeOf("12:00") + RETENTION_MS, { which: "all" });
    expect(await slots()).toEqual([]);
    expect(await shard.health.readRelease(releaseOf("1.4.0"))).toEqual(totals);
    expect(await redis.exists(windowsKey(0, 1))).toBe(0);
  });

  it("only leave in the daily round", async () => {
    expect(await rollUpAt(NOON_MS + RETENTION_MS, { which: "fine" })).toBe(0);
    expect(await slots()).toHaveLength(2);
  });

  it("that have left do not come back: an answer about so old an attempt is in the totals alone", async () => {
    shard.nowMs = NOON_MS + RETENTION_MS;
    await rollUpAt(shard.nowMs, { which: "all" });
    await shard.tell({ device: "till-10:04", event: "reverted", platform: "android" });
    await shard.fold();
    expect(await shard.devices()).toMatchObject({ attempted: 2, reverted: 1, failed: 1 });
    expect(await shard.health.readWindows(releaseOf("1.4.0"))).toEqual([]);
  });
});

/** Resolutions as the documentation has them, by whole hours. */
function slotsOf(rolledMs: number): SlotOf {
  return (minute) => {
    const hours = Math.floor(rolledMs / HOUR_MS) - Math.floor(minute / 60);
    if (hours > 90 * 24) return undefined;
    const slotMinutes = hours <= 2 ? 1 : hours <= 48 ? 5 : 60;
    return { slotMinute: Math.floor(minute / slotMinutes) * slotMinutes, slotMinutes };
  };
}

describe("sums", () => {
  it("are what they were: totals, strata, hours, answers and windows, while days pass and reports go on", async () => {
    const random = createRandom(11, "rolled up");
    const rollUps = [1, 3, 4, 26, 49, 60, 24 * 88, 24 * 90, 24 * 92, 24 * 180];
    for (const hours of rollUps) {
      const reports = Array.from({ length: 60 }, () => ({
        device: `till-${Math.floor(random.between(0, 30))}`,
        version: version(random.pick(["1.3.0", "1.4.0"])),
        event: random.pick(EVENTS),
        at: shard.nowMs - Math.floor(random.between(0, random.pick([HOUR_MS, 4 * HOUR_MS, 6 * DAY_MS]))),
        platform: random.pick(["android", "linux"]),
      }));
      await shard.tell(...reports);
      await shard.fold();
      const before = await totalsNow();
      shard.nowMs = NOON_MS + hours * HOUR_MS;
      await rollUpAt(shard.nowMs, { which: "all" });
      expect(await totalsNow()).toEqual(before);
      expect(await readCounts(shard.health)).toEqual(shard.model.counts({ slotOf: slotsOf(shard.nowMs) }));
    }
  });
});

/** All but windows. */
async function totalsNow() {
  const counts = Object.entries(await readCounts(shard.health));
  return counts.map(([release, ofRelease]) => [release, { ...ofRelease, windows: undefined }]);
}

describe("what is late", () => {
  beforeEach(async () => {
    await beginAt("09:58", "10:30");
    shard.nowMs = NOON_MS;
    await rollUpAt(NOON_MS);
  });

  it("goes into the windows that are there now", async () => {
    for (const [device, at] of [
      ["late-1", timeOf("09:57")],
      ["late-2", timeOf("09:50")],
      ["late-3", timeOf("10:30:30")],
      ["late-4", timeOf("11:17") - 3 * DAY_MS],
    ] as const)
      await shard.tell({ device, event: "update_started", at });
    await shard.fold();
    expect(await slots()).toEqual(["11:00/60 1", "09:50/5 1", "09:55/5 2", "10:30/1 2"]);
    expect(await rollUpAt(NOON_MS)).toBe(0);
    expect(await readCounts(shard.health)).toEqual(shard.model.counts({ slotOf: slotsOf(NOON_MS) }));
  });

  it("and tells of an earlier attempt moves the device, and leaves no empty window", async () => {
    await shard.tell({ device: "till-09:58", event: "update_started", at: timeOf("09:51") });
    await shard.fold();
    expect(await slots()).toEqual(["09:50/5 1", "10:30/1 1"]);
  });

  it("and tells what a device is moves it to another stratum of the same window", async () => {
    await shard.tell({ device: "till-09:58", event: "confirmed", platform: "android" });
    await shard.fold();
    const [first] = await shard.health.readWindows(releaseOf("1.4.0"));
    expect(first).toMatchObject({ slotMinutes: 5, devices: { attempted: 1, confirmed: 1 } });
    expect(first!.stratum).toBe(JSON.stringify(["android", "", "", ""]));
    expect(await readCounts(shard.health)).toEqual(shard.model.counts({ slotOf: slotsOf(NOON_MS) }));
  });

  it("and no report at all: a device that falls silent is silent in the window that is there now", async () => {
    await shard.foldAt(timeOf("20:00"));
    const [first] = await shard.health.readWindows(releaseOf("1.4.0"));
    expect(first).toMatchObject({ slotMinutes: 5, devices: { attempted: 1, silent: 1 } });
    expect(await readCounts(shard.health)).toEqual(shard.model.counts({ slotOf: slotsOf(NOON_MS) }));
  });

  it("goes there also after a clock was set back: a roll-up never undoes another", async () => {
    expect(await rollUpAt(NOON_MS - 5 * HOUR_MS)).toBe(0);
    await shard.tell({ device: "late", event: "update_started", at: timeOf("09:57") });
    await shard.fold();
    await rollUpAt(NOON_MS - 5 * HOUR_MS, { which: "all" });
    await shard.tell({ device: "later", event: "update_started", at: timeOf("09:56") });
    await shard.fold();
    expect(await slots()).toEqual(["09:55/5 3", "10:30/1 1"]);
  });
});

/** The connection of a roll-up that is overtaken, each time that it has read which windows release 1 has. */
function overtakenBy(work: () => Promise<unknown>): Redis {
  const beginReading = () => {
    const transaction = redis.multi();
    const [hkeys, exec] = [transaction.hkeys.bind(transaction), transaction.exec.bind(transaction)];
    let isOfRelease = false;
    return Object.assign(transaction, {
      hkeys(key: string) {
        isOfRelease ||= key === windowsKey(0, 1);
        return hkeys(key);
      },
      async exec() {
        const answers = await exec();
        if (isOfRelease) await work();
        return answers;
      },
    });
  };
  return new Proxy(redis, {
    get: (target, name) => (name === "multi" ? beginReading : (Reflect.get(target, name) as unknown)),
  });
}

describe("a roll-up and a fold at the same time", () => {
  it("the roll-up reads again what was folded meanwhile", async () => {
    await beginAt("09:57", "09:58");
    shard.nowMs = NOON_MS;
    let folds = 2;
    const overtaken = overtakenBy(async () => {
      if (folds === 0) return;
      folds -= 1;
      await shard.tell({ device: `late-${folds}`, event: "update_started", at: timeOf("09:58") });
      await shard.foldWaiting();
    });
    // Once two windows, and the late ones have joined one of them.
    expect(await rollUpAt(NOON_MS, { redis: overtaken })).toBe(2);
    expect(folds).toBe(0);
    expect(await slots()).toEqual(["09:55/5 4"]);
    expect(await readCounts(shard.health)).toEqual(shard.model.counts({ slotOf: slotsOf(NOON_MS) }));
  });

  it("the roll-up of a release that loses every time is left for later; the others are rolled up", async () => {
    await beginAt("09:57");
    await shard.tell({ device: "till-2", event: "installed", version: version("1.5.0") });
    shard.nowMs = NOON_MS;
    await shard.fold();
    let folds = 0;
    const overtaken = overtakenBy(async () => {
      folds += 1;
      await shard.tell({ device: `late-${folds}`, event: "update_started", at: timeOf("09:58") });
      await shard.foldWaiting();
    });
    expect(await rollUpAt(NOON_MS, { redis: overtaken })).toBe(1);
    expect(await slots()).toEqual(["09:57/1 1", `09:58/1 ${folds}`]);
    expect(await slots("1.5.0")).toEqual(["09:55/5 1"]);
    expect(await rollUpAt(NOON_MS)).toBe(2);
    expect(await slots()).toEqual([`09:55/5 ${folds + 1}`]);
  });

  it("the fold reads again what was rolled up meanwhile", async () => {
    await beginAt("09:57");
    shard.nowMs = NOON_MS;
    await shard.tell({ device: "late", event: "update_started", at: timeOf("09:58") });
    const store = shard.openStore();
    const batch = (await store.readBatch(await store.readPosition()))!;
    const plan = await planOf(batch, { store, rules: DEFAULT_COUNTING_RULES });
    await rollUpAt(NOON_MS);
    expect(await store.commitBatch(batch, plan)).toBe("conflict");
    await shard.fold({ store });
    expect(await slots()).toEqual(["09:55/5 2"]);
  });

  it("two roll-ups: the sums are those of one", async () => {
    await beginAt("09:55", "09:56", "09:57", "10:20");
    shard.nowMs = NOON_MS;
    await Promise.all([rollUpAt(NOON_MS), rollUpAt(NOON_MS), rollUpAt(NOON_MS)]);
    expect(await readCounts(shard.health)).toEqual(shard.model.counts({ slotOf: slotsOf(NOON_MS) }));
  });
});

describe("releases that rest", () => {
  /** Numbers of the releases whose windows are read. */
  async function readBy(work: () => Promise<unknown>): Promise<number[]> {
    const keys = (await recordCommands(redis, work)).map(([, key = ""]) => key);
    return [1, 2].filter((releaseNumber) => keys.includes(windowsKey(0, releaseNumber)));
  }

  beforeEach(async () => {
    await beginAt("10:00");
    await rollUpAt(NOON_MS + 3 * DAY_MS);
    shard.nowMs = NOON_MS + 3 * DAY_MS;
    await shard.tell({ device: "till-2", event: "update_started", version: version("1.5.0") });
    await shard.foldAt(shard.nowMs);
  });

  it("are not read each hour, only each day", async () => {
    // Its device fell silent, in a window of an hour by now: the release is looked at once more, and rests.
    expect(await readBy(() => rollUpAt(shard.nowMs))).toEqual([1, 2]);
    expect(await redis.smembers(fineKey(0))).toEqual(["2"]);
    expect(await readBy(() => rollUpAt(shard.nowMs))).toEqual([2]);
    expect(await readBy(() => rollUpAt(shard.nowMs, { which: "all" }))).toEqual([1, 2]);
    expect(await redis.smembers(fineKey(0))).toEqual(["2"]);
  });

  it("are read again when something is told of them", async () => {
    await rollUpAt(shard.nowMs);
    await shard.tell({ device: "till-3", event: "update_started" });
    await shard.fold();
    expect(await readBy(() => rollUpAt(shard.nowMs))).toEqual([1, 2]);
    expect(await readBy(() => rollUpAt(shard.nowMs + 3 * DAY_MS))).toEqual([1, 2]);
    expect(await readBy(() => rollUpAt(shard.nowMs + 3 * DAY_MS))).toEqual([]);
    expect(await redis.exists(fineKey(0))).toBe(0);
  });

  it("a round that finds nothing to do writes nothing", async () => {
    await rollUpAt(shard.nowMs);
    const revision = await redis.hget(metaKey(0), "revision");
    for (const which of ["fine", "all"] as const) expect(await rollUpAt(shard.nowMs, { which })).toBe(0);
    expect(await redis.hget(metaKey(0), "revision")).toBe(revision);
  });

  it("and have retired leave no trace", async () => {
    const store = shard.openStore();
    const { revision } = await store.readPosition();
    expect(await store.retireReleases(revision, TILL)).toBe("committed");
    for (const which of ["fine", "all"] as const) await rollUpAt(shard.nowMs, { which });
    expect(await redis.smembers(fineKey(0))).toEqual(["2"]);
    expect(await redis.exists(countsKey(0, 1), windowsKey(0, 1))).toBe(0);
  });

  it("an agent that is told to stop leaves the rest for the next round", async () => {
    await rollUpAt(shard.nowMs + 3 * DAY_MS, { isStopping: () => true });
    expect(await slots("1.5.0")).toEqual(["12:00/1 1"]);
    await rollUpAt(shard.nowMs + 3 * DAY_MS);
    expect(await slots("1.5.0")).toEqual(["12:00/60 1"]);
  });
});
