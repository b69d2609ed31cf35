// The history of a release, read again and again: always what stands in Redis, and every hour and day that has not
// changed the same object, whoever folds, looks for silence, rolls windows up or retires releases meanwhile. And what
// is asked of Redis follows what changed. (readCounts compares the history with all windows, in every test of counting.)
import { beforeEach, describe, expect, it } from "vitest";
import { HISTORY_RELEASES_MAX } from "../../agent/health/history-reader.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { historyOf } from "../../agent/health/release-history.ts";
import type { HistoryHour, ReleaseHistory } from "../../agent/health/release-history.ts";
import { dayMarksKey, hourMarksKey, tableKey } from "../../agent/health/shard-keys.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import type { Redis } from "../../runtime/redis.ts";
import { readCounts } from "../support/read-counts.ts";
import { recordCommands } from "../support/recorded-commands.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import { DAY_MS, DUE_MS, HOUR_MS, MINUTE_MS, NOON_MS, each, names } from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { releaseOf, version } from "../support/verdicts.ts";

const RELEASE = releaseOf("1.4.0");
const MINUTES_BEFORE = 24 * 60;

let redis: Redis;
let shard: TestShard;
useShardForEach((...opened) => ([redis, shard] = opened));

function history(sinceMinute = 0): Promise<ReleaseHistory> {
  return shard.health.readHistory(RELEASE, { sinceMinute });
}

async function expectTrue(read: ReleaseHistory): Promise<void> {
  expect(read).toEqual(historyOf(RELEASE, await shard.health.readWindows(RELEASE)));
}

function hoursOf({ days }: ReleaseHistory): HistoryHour[] {
  return days.flatMap(({ hours }) => [...hours]);
}

/** A device of its own begins at each of these hours before noon. */
async function beginHoursAgo(...hours: readonly number[]): Promise<void> {
  for (const ago of hours.toSorted((left, right) => right - left)) {
    shard.nowMs = NOON_MS - ago * HOUR_MS;
    await shard.tell({ device: `till-${ago}`, event: "update_started", model: `M${ago % 3}` });
    await shard.fold();
  }
  shard.nowMs = NOON_MS;
}

describe("what has not changed is the same object", () => {
  beforeEach(() => beginHoursAgo(49, 25, 2, 0));

  it("all of it, when nothing did", async () => {
    const before = await history();
    await expectTrue(before);
    const again = await history();
    expect(again.days.map((day, index) => day === before.days[index])).toEqual([true, true, true]);
  });

  it("all but the hour in which a device began, and its day", async () => {
    const before = await history();
    await shard.tell({ device: "till-new", event: "update_started" });
    await shard.fold();
    const after = await history();
    await expectTrue(after);
    const same = hoursOf(after).filter((hour) => hoursOf(before).includes(hour));
    expect(same.map(({ hourMinute }) => (NOON_MS / MINUTE_MS - hourMinute) / 60)).toEqual([49, 25, 2]);
    expect(after.days.map((day) => before.days.includes(day))).toEqual([true, true, false]);
  });

  it("an old hour changes when a device tells late what kind it is", async () => {
    const before = await history();
    await shard.tell({ device: "till-49", event: "confirmed", platform: "android" });
    await shard.fold();
    const after = await history();
    await expectTrue(after);
    expect(hoursOf(after)[0]).not.toBe(hoursOf(before)[0]);
    expect(hoursOf(after)[1]).toBe(hoursOf(before)[1]);
  });

  it("a device that falls silent changes the hour of its attempt", async () => {
    const before = await history();
    await shard.foldAt(DUE_MS + HOUR_MS);
    const after = await history();
    await expectTrue(after);
    expect(hoursOf(after).at(-1)!.windows[0]!.devices.silent).toBe(1);
    expect(after.days[0]).toBe(before.days[0]);
  });
});

describe("windows that age", () => {
  beforeEach(() => beginHoursAgo(49, 25, 2, 0));
  const rollUp = (nowMs: number, which: "fine" | "all" = "fine"): Promise<number> =>
    rollUpShard({ redis, shard: 0, nowMs, which, isStopping: () => false });

  it("5-minute slots for two days, then hours", async () => {
    const lengths = async (): Promise<number[]> =>
      hoursOf(await history()).map(({ windows }) => windows[0]!.slotMinutes);
    expect(await lengths()).toEqual([5, 5, 5, 5]);
    await rollUp(NOON_MS);
    expect(await lengths()).toEqual([60, 5, 5, 5]);
    await expectTrue(await history());
    await rollUp(NOON_MS + 3 * DAY_MS);
    expect(await lengths()).toEqual([60, 60, 60, 60]);
    await expectTrue(await history());
  });

  it("leave after 90 days, and their marks with them", async () => {
    await history();
    await rollUp(NOON_MS + 89 * DAY_MS, "all");
    expect(hoursOf(await history())).toHaveLength(2);
    await rollUp(NOON_MS + 91 * DAY_MS, "all");
    expect(await history()).toEqual({ release: RELEASE, days: [] });
    expect(await redis.exists(dayMarksKey(0, 1))).toBe(0);
    expect(await redis.exists(hourMarksKey(0, 1))).toBe(0);
  });
});

describe("what is read", () => {
  it("days before the asked minute are left out, and not read", async () => {
    await beginHoursAgo(49, 25, 0);
    const today = NOON_MS / MINUTE_MS - 12 * 60;
    expect((await history(today)).days.map(({ dayMinute }) => dayMinute)).toEqual([today]);
    expect((await history(today - 1)).days).toHaveLength(2);
    await expectTrue(await history());
    expect((await history(today)).days).toHaveLength(1);
  });

  it("nothing but marks when nothing changed; one hour's slots when one did", async () => {
    await beginHoursAgo(...Array.from({ length: 60 }, (_, hour) => hour * 12));
    await history();
    const idle = await recordCommands(redis, history);
    expect(idle.map(([name]) => name)).toEqual(["hget", "hgetall"]);
    await shard.tell({ device: "till-new", event: "update_started" });
    await shard.fold();
    const busy = await recordCommands(redis, history);
    const windowReads = busy.filter(([name, key]) => name === "hmget" && key!.includes(":w:"));
    expect(windowReads).toHaveLength(1);
    expect(
      windowReads[0]!
        .slice(2)
        .every((field) => Math.abs(Number(field.split(":")[1]) * MINUTE_MS - NOON_MS) <= HOUR_MS),
    ).toBe(true);
    expect(busy.filter(([name]) => name === "hkeys")).toEqual([]);
    await expectTrue(await history());
  });

  it("a commit between marks and windows has them read once more, and none is missed", async () => {
    await beginHoursAgo(0);
    const reading = history();
    await shard.tell(...each(names(20), "update_started"));
    await Promise.all([reading, shard.fold()]);
    await expectTrue(await history());
  });

  it("reads at once are one after the other, and the last is true", async () => {
    await beginHoursAgo(3, 0);
    const reads = await Promise.all(Array.from({ length: 5 }, () => history()));
    expect(new Set(reads.flatMap(({ days }) => days)).size).toBe(1);
    await expectTrue(reads.at(-1)!);
  });
});

describe("what is remembered", () => {
  it("a release that retired and came back under another number is read anew", async () => {
    await beginHoursAgo(2, 1);
    await history();
    await redis.hset(tableKey(0, "releases"), "com.acme.till|production|1.4.0", 7);
    expect(await history()).toEqual({ release: RELEASE, days: [] });
    await redis.hset(tableKey(0, "releases"), "com.acme.till|production|1.4.0", 1);
    await expectTrue(await history());
  });

  it(`${HISTORY_RELEASES_MAX} releases; of one more, the one asked for longest ago is read anew`, async () => {
    const versions = Array.from({ length: HISTORY_RELEASES_MAX + 1 }, (_, index) => `2.0.${index}`);
    await shard.tell(
      ...versions.map((text) => ({ device: text, event: "update_started" as const, version: version(text) })),
    );
    await shard.fold();
    const daysOf = async (text: string) => (await shard.health.readHistory(releaseOf(text))).days[0];
    const [first, second, ...others] = versions;
    const firstDay = await daysOf(first!);
    const secondDay = await daysOf(second!);
    for (const text of others.slice(0, -1)) await daysOf(text);
    expect(await daysOf(first!)).toBe(firstDay);
    await daysOf(others.at(-1)!);
    expect(await daysOf(first!)).toBe(firstDay);
    expect(await daysOf(second!)).not.toBe(secondDay);
  });

  it("a store of its own reads the same", async () => {
    await beginHoursAgo(30, 3);
    const other = createHealthStore({ redis, shards: 1 });
    expect(await other.readHistory(RELEASE)).toEqual(await history());
    await shard.tell({ device: "till-3", event: "confirmed" });
    await shard.fold();
    await readCounts(other);
    await readCounts(shard.health);
  });
});

it("is empty for a release that nobody knows", async () => {
  const unknown = releaseOf("9.9.9");
  expect(await shard.health.readHistory(unknown, { sinceMinute: MINUTES_BEFORE })).toEqual({
    release: unknown,
    days: [],
  });
});
