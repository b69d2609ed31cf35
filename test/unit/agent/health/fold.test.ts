// Folding, transition by transition: what a batch of reports changes.
import { describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../../../agent/health/counting-rules.ts";
import { CRASHED_HOURS_INDEX } from "../../../../agent/health/count-vector.ts";
import { NO_RECORD } from "../../../../agent/health/device-state.ts";
import type { FoldPlan } from "../../../../agent/health/fold-plan.ts";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import { OUTCOMES, flagOf, toOutcomeCounts } from "../../../../agent/health/outcomes.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { REPORT_AGE_MS_MAX } from "../../../../ingest/contract/device-report.ts";
import type { ReleaseCounts } from "../../../support/naive-counts.ts";
import { outcomeCounts } from "../../../support/verdicts.ts";
import { AT_MINUTE, AT_MS, RECEIVED_AT_MS, RELEASE, createMemoryShard, foldableOf } from "./memory-shard.ts";
import type { MemoryShard, Told } from "./memory-shard.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** What a plan adds to the release's totals. */
function totalsOf(plan: FoldPlan, release = RELEASE): OutcomeCounts {
  return toOutcomeCounts(plan.releases.get(release)!.totals);
}

/** What it adds to minutes, over all strata; only those where something changes. */
function windowsOf(plan: FoldPlan, release = RELEASE): Record<number, OutcomeCounts> {
  const windows = [...plan.releases.get(release)!.windows].map(([minute, strata]) => {
    const outcomes = OUTCOMES.map((_, index) =>
      [...strata.values()].reduce((sum, counts) => sum + counts[index]!, 0),
    );
    return [minute, outcomes] as const;
  });
  const changed = windows.filter(([, outcomes]) => outcomes.some((count) => count !== 0));
  return Object.fromEntries(changed.map(([minute, outcomes]) => [minute, toOutcomeCounts(outcomes)]));
}

function countsOf(shard: MemoryShard, version = "1.4.0"): ReleaseCounts {
  return shard.counts()[`com.acme.till|production|${version}`]!;
}

describe("one device", () => {
  it("the first report counts the device in its outcome and its attempt, in totals and in its minute", () => {
    const shard = createMemoryShard();
    const plan = shard.fold({ event: "installed" });
    const expected = outcomeCounts({ installed: 1, attempted: 1, announced: 1 });
    expect(totalsOf(plan)).toEqual(expected);
    expect(windowsOf(plan)).toEqual({ [AT_MINUTE]: expected });
    expect(plan.newRows.releases).toEqual(new Map([[RELEASE, 1]]));
    expect(plan.newRows.strata.size + plan.newRows.reasons.size).toBe(0);
    const { bucket, field } = foldableOf({ event: "installed" });
    expect([...plan.states].map(([place, states]) => [place, [...states.keys()]])).toEqual([
      [bucket, [field]],
    ]);
  });

  it("a repeat changes nothing but when the release was last heard of", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "reverted", reason: "boot loop", model: "T1" });
    const receivedAtMs = RECEIVED_AT_MS + 9_000;
    const plan = shard.fold({ event: "reverted", reason: "boot loop", model: "T1", receivedAtMs });
    expect(totalsOf(plan)).toEqual(outcomeCounts({}));
    expect(plan.states.size).toBe(0);
    expect(Object.values(plan.newRows).map(({ size }) => size)).toEqual([0, 0, 0]);
    const { lastReportAtMs, lastFailureAtMs } = plan.releases.get(RELEASE)!;
    expect([lastReportAtMs, lastFailureAtMs]).toEqual([receivedAtMs, 0]);
  });

  it("failed, then confirmed: recovered, and failed for ever", () => {
    const shard = createMemoryShard();
    expect(totalsOf(shard.fold({ event: "install_failed" }))).toEqual(
      outcomeCounts({ install_failed: 1, attempted: 1, failed: 1, failed_unannounced: 1 }),
    );
    expect(totalsOf(shard.fold({ event: "confirmed" }))).toEqual(
      outcomeCounts({ confirmed: 1, recovered: 1, running: 1 }),
    );
  });

  it("a second way of failing does not count the device as failed twice", () => {
    const plan = createMemoryShard().fold({ event: "install_failed" }, { event: "reverted" });
    expect(totalsOf(plan)).toEqual(
      outcomeCounts({ install_failed: 1, reverted: 1, attempted: 1, failed: 1, failed_unannounced: 1 }),
    );
  });

  it("use and crashes alone are no attempt and stand in no cohort; the attempt brings them into it", () => {
    const shard = createMemoryShard();
    const used = { active: 1, crashed: 1, not_responding: 1 };
    const before = shard.fold({ event: "active" }, { event: "crashed" }, { event: "not_responding" });
    expect(totalsOf(before)).toEqual(outcomeCounts({ ...used, running: 1 }));
    expect(windowsOf(before)).toEqual({});
    const after = shard.fold({ event: "update_started" });
    expect(totalsOf(after)).toEqual(outcomeCounts({ update_started: 1, attempted: 1, announced: 1 }));
    expect(windowsOf(after)).toEqual({
      [AT_MINUTE]: outcomeCounts({ ...used, update_started: 1, attempted: 1, announced: 1 }),
    });
  });

  it("an earlier attempt that is told later moves the device to its minute, with all it reported", () => {
    const shard = createMemoryShard();
    const receivedAtMs = AT_MS + 12 * MINUTE_MS;
    shard.fold({ event: "reverted", atMs: AT_MS + 10 * MINUTE_MS, receivedAtMs });
    const plan = shard.fold({ event: "update_started", receivedAtMs: receivedAtMs + MINUTE_MS });
    expect(totalsOf(plan)).toEqual(
      outcomeCounts({ update_started: 1, announced: 1, failed_unannounced: -1, failed_announced: 1 }),
    );
    expect(windowsOf(plan)).toEqual({
      [AT_MINUTE]: outcomeCounts({
        update_started: 1,
        reverted: 1,
        attempted: 1,
        failed: 1,
        announced: 1,
        failed_announced: 1,
      }),
      [AT_MINUTE + 10]: outcomeCounts({ reverted: -1, attempted: -1, failed: -1 }),
      // It was announced after all: what waited since it came in waits no more.
      [AT_MINUTE + 12]: outcomeCounts({ failed_unannounced: -1 }),
    });
  });

  it("a later attempt leaves it where it is; a minute ends with its last millisecond", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "update_started", atMs: AT_MS + MINUTE_MS - 1 });
    expect(windowsOf(shard.fold({ event: "confirmed", atMs: AT_MS + 3 * MINUTE_MS }))).toEqual({
      [AT_MINUTE]: outcomeCounts({ confirmed: 1 }),
    });
    const next = createMemoryShard().fold({ event: "installed", atMs: AT_MS + MINUTE_MS });
    expect(Object.keys(windowsOf(next))).toEqual([String(AT_MINUTE + 1)]);
  });

  it("keeps a record per release, what it runs, and what was heard of it last", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "confirmed", version: "1.3.0" }, { event: "reverted", atMs: AT_MS + 1_000 });
    const { heard, running, records } = shard.stateOf();
    const atSecond = AT_MS / 1_000;
    expect(heard).toEqual({ atSecond: atSecond + 1, release: 2, isPending: false, receivedMinute: 0 });
    expect(running).toEqual({ atSecond, release: 1 });
    expect(records.get(1)).toMatchObject({ flags: flagOf("confirmed"), attemptMinute: AT_MINUTE });
    expect(records.get(2)).toEqual({
      ...NO_RECORD,
      flags: flagOf("reverted"),
      attemptMinute: AT_MINUTE,
      answerMinute: AT_MINUTE,
      failureMinute: AT_MINUTE,
    });
  });

  it.each([-62_135_596_800_000, -1, 0, 59_999, Number.MAX_SAFE_INTEGER])(
    "a time that no clock should show (%d) is still folded, and can be folded again",
    (atMs) => {
      const shard = createMemoryShard();
      expect(totalsOf(shard.fold({ event: "installed", atMs })).attempted).toBe(1);
      expect(totalsOf(shard.fold({ event: "installed", atMs })).attempted).toBe(0);
      expect(totalsOf(shard.fold({ event: "confirmed" })).attempted).toBe(0);
      expect(totalsOf(shard.fold({ event: "active", atMs }, { event: "active", atMs })).active).toBe(1);
      expect(countsOf(shard).hours.active).toBe(1);
    },
  );
});

describe("devices whose clocks are behind", () => {
  it("fail, unannounced, in the minute in which we heard of it; the attempt stands where their clock says", () => {
    const atMs = RECEIVED_AT_MS - 6 * 24 * HOUR_MS;
    const minute = Math.floor(atMs / MINUTE_MS);
    expect(windowsOf(createMemoryShard().fold({ event: "reverted", atMs }))).toEqual({
      [minute]: outcomeCounts({ reverted: 1, attempted: 1, failed: 1 }),
      [AT_MINUTE]: outcomeCounts({ failed_unannounced: 1 }),
    });
  });

  it("so far that their time was clamped tell no hour, and are heard of when the report came in", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "crashed", atMs: RECEIVED_AT_MS - REPORT_AGE_MS_MAX });
    expect(countsOf(shard)).toMatchObject({
      devices: { crashed: 1, running: 1 },
      hours: { active: 0, crashed: 0 },
    });
    expect(shard.stateOf().heard!.atSecond).toBe(Math.floor(RECEIVED_AT_MS / 1_000));
  });
});

describe("an ingest whose clock is in the first hour of 1970", () => {
  it("a repeat counts once, in the second hour, also when the state was stored in between", () => {
    const told: Told = { event: "active", atMs: 1_000, receivedAtMs: 1_000 };
    const shard = createMemoryShard();
    for (let times = 0; times < 3; times += 1) shard.fold(told, told);
    expect(countsOf(shard).hours.active).toBe(1);
    expect(Object.keys(countsOf(shard).windows)).toEqual(["60/1 unknown"]);
  });
});

describe("what a device runs", () => {
  it("is one release: the one that the newest proof names", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "confirmed", version: "1.3.0" }, { event: "active", atMs: AT_MS + 1_000 });
    expect([countsOf(shard, "1.3.0").devices.running, countsOf(shard).devices.running]).toEqual([0, 1]);
    const back = shard.fold({ event: "active", version: "1.3.0", atMs: AT_MS + 2_000 });
    expect(totalsOf(back).running).toBe(-1);
    expect(totalsOf(back, "com.acme.till|production|1.3.0").running).toBe(1);
    // An older one, and one that proves nothing.
    shard.fold({ event: "crashed", atMs: AT_MS + 1_500 }, { event: "installed", atMs: AT_MS + 9_000 });
    expect([countsOf(shard, "1.3.0").devices.running, countsOf(shard).devices.running]).toEqual([1, 0]);
  });

  it("moves to another stratum with the device", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "active" });
    shard.fold({ event: "update_started", model: "T1" });
    const { strata } = countsOf(shard);
    expect(Object.keys(strata)).toEqual(['["","T1","",""]']);
    expect(Object.values(strata)[0]!.devices).toMatchObject({ running: 1, active: 1, attempted: 1 });
  });

  it("stands in no window", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "confirmed" });
    expect(Object.values(countsOf(shard).windows).map(({ devices }) => devices.running)).toEqual([0]);
  });
});

describe("strata", () => {
  const told: Told = {
    event: "installed",
    platform: "android",
    model: "T1",
    os_version: "14",
    native_version: "7",
  };

  it("split totals and windows by the fields that the app asks for", () => {
    const rules = { ...DEFAULT_COUNTING_RULES, strataOf: () => ["os_version", "platform"] as const };
    const shard = createMemoryShard({ rules });
    shard.fold(
      told,
      { ...told, device: "till-2", os_version: "13" },
      { event: "installed", device: "till-3" },
    );
    const { strata, windows } = countsOf(shard);
    const fourteen = '["android","","14",""]';
    expect(Object.keys(strata)).toEqual([fourteen, '["android","","13",""]', "unknown"]);
    expect(strata[fourteen]!.devices).toEqual(outcomeCounts({ installed: 1, attempted: 1, announced: 1 }));
    expect(Object.keys(windows).toSorted()).toEqual(
      [fourteen, '["android","","13",""]', "unknown"]
        .map((stratum) => `${AT_MINUTE}/1 ${stratum}`)
        .toSorted(),
    );
  });

  it("an app that asks for no field has only `unknown`", () => {
    const shard = createMemoryShard({ rules: { ...DEFAULT_COUNTING_RULES, strataOf: () => [] } });
    const plan = shard.fold(told);
    expect(plan.newRows.strata.size).toBe(0);
    expect(Object.keys(countsOf(shard).strata)).toEqual(["unknown"]);
  });

  it("beyond the app's cap devices count as `other`, and stay there", () => {
    const shard = createMemoryShard({ rules: { ...DEFAULT_COUNTING_RULES, strataMaxOf: () => 1 } });
    shard.fold({ event: "installed", model: "T1" }, { event: "installed", model: "T2", device: "till-2" });
    shard.fold({ event: "confirmed", model: "T1", device: "till-2" });
    const { strata } = countsOf(shard);
    expect(Object.keys(strata)).toEqual(['["","T1","",""]', "other"]);
    expect(strata["other"]!.devices).toMatchObject({ installed: 1, confirmed: 1 });
  });

  it("each release of a device has its own", () => {
    const shard = createMemoryShard();
    shard.fold(
      { event: "active", version: "1.3.0", os_version: "13" },
      { event: "active", os_version: "14" },
    );
    expect(Object.keys(countsOf(shard, "1.3.0").strata)).toEqual(['["","","13",""]']);
    expect(Object.keys(countsOf(shard).strata)).toEqual(['["","","14",""]']);
  });
});

describe("reasons", () => {
  it("are counted for failures alone, each device once", () => {
    const shard = createMemoryShard();
    const plan = shard.fold(
      { event: "install_failed", reason: "disk full" },
      { event: "reverted", reason: "disk full" },
      { event: "download_failed", reason: "timeout" },
      { event: "download_failed", reason: "timeout", device: "till-2" },
      { event: "crashed", reason: "segfault" },
      { event: "reverted", reason: "", device: "till-3" },
      { event: "reverted", device: "till-4" },
    );
    expect(countsOf(shard).reasons).toEqual({ "disk full": 1, timeout: 2 });
    expect([...plan.newRows.reasons.keys()]).toEqual(["com.acme.till|disk full", "com.acme.till|timeout"]);
  });

  it("one that is no text in UTF-8 is in the row that Redis gives back, not in a new one each time", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "reverted", reason: "\ud800" });
    expect([...shard.tables.reasons.keys()]).toEqual(["com.acme.till|\ufffd"]);
    const plan = shard.fold({ event: "reverted", reason: "\ud800" }, { event: "reverted", reason: "\udc00" });
    expect([plan.states.size, plan.newRows.reasons.size]).toEqual([0, 0]);
    expect(countsOf(shard).reasons).toEqual({ "\ufffd": 1 });
  });

  it("of more than 8 of one device the first by their texts count, though another came first", () => {
    const shard = createMemoryShard();
    const reasons = ["i", "b", "c", "d", "e", "f", "g", "h"];
    shard.fold(...reasons.map((reason): Told => ({ event: "reverted", reason })));
    expect(Object.keys(countsOf(shard).reasons).toSorted()).toEqual("bcdefghi".split(""));
    shard.fold({ event: "download_failed", reason: "a" }, { event: "download_failed", reason: "z" });
    expect(Object.keys(countsOf(shard).reasons).toSorted()).toEqual("abcdefgh".split(""));
  });
});

describe("device-hours", () => {
  it("a device is active at most once an hour, and crashed at most once", () => {
    const shard = createMemoryShard();
    const at = (atMs: number): Told => ({ event: "active", atMs, receivedAtMs: AT_MS + 2 * HOUR_MS });
    shard.fold(at(AT_MS), at(AT_MS + HOUR_MS - 1));
    shard.fold(at(AT_MS + 1_000), { ...at(AT_MS), event: "crashed" }, { ...at(AT_MS + 5), event: "crashed" });
    expect(countsOf(shard).hours).toEqual({ ...NO_DEVICE_HOURS, active: 1, crashed: 1, firstCrashed: 1 });
    shard.fold(at(AT_MS + HOUR_MS));
    expect(countsOf(shard).hours).toEqual({ ...NO_DEVICE_HOURS, active: 2, crashed: 1, firstCrashed: 1 });
    const { windows } = countsOf(shard);
    expect(Object.keys(windows)).toEqual([`${AT_MINUTE}/1 unknown`, `${AT_MINUTE + 60}/1 unknown`]);
    expect(shard.fold(at(AT_MS)).releases.get(RELEASE)!.totals[CRASHED_HOURS_INDEX]).toBe(0);
  });

  it.each([
    ["one batch", 1],
    ["two batches", 2],
  ])(
    "an hour that is told apart no more stays counted, also with the stratum changed: %s",
    (_what, batches) => {
      const shard = createMemoryShard();
      const laterMs = AT_MS + 170 * HOUR_MS;
      const early: Told = { event: "active", model: "T1" };
      const late: Told = { event: "crashed", model: "S1", atMs: laterMs, receivedAtMs: laterMs };
      if (batches === 1) shard.fold(early, late);
      else for (const each of [early, late]) shard.fold(each);
      expect(countsOf(shard).hours).toEqual({ ...NO_DEVICE_HOURS, active: 2, crashed: 1, firstCrashed: 1 });
    },
  );
});

describe.each([
  ["crashed", "crashed", "firstCrashed"],
  ["not_responding", "notResponding", "firstNotResponding"],
] as const)("devices that %s", (event, hours, first) => {
  const at = (hour: number, told: Partial<Told> = {}): Told => {
    const atMs = AT_MS + hour * HOUR_MS;
    return { event, atMs, receivedAtMs: atMs, ...told };
  };
  const firstsOf = (shard: MemoryShard): [string, number][] =>
    Object.entries(countsOf(shard).windows)
      .filter(([, window]) => window.hours[first] !== 0)
      .map(([name, window]) => [name, window.hours[first]]);

  it("in every hour, for longer than is told apart, count once among devices and with each hour among hours", () => {
    const shard = createMemoryShard();
    for (let hour = 0; hour < 400; hour += 1) shard.fold(at(hour), at(hour, { device: "till-2" }));
    expect(countsOf(shard).hours).toEqual({ ...NO_DEVICE_HOURS, active: 800, [hours]: 800, [first]: 2 });
    expect(firstsOf(shard)).toEqual([[`${AT_MINUTE}/1 unknown`, 2]]);
  });

  it("move to an earlier hour when it is told later, and take it along to another stratum for good", () => {
    const shard = createMemoryShard();
    shard.fold(at(9));
    shard.fold(at(4, { receivedAtMs: AT_MS + 10 * HOUR_MS }));
    expect(firstsOf(shard)).toEqual([[`${AT_MINUTE + 240}/1 unknown`, 1]]);
    shard.fold(at(300, { event: "active" }));
    shard.fold(at(301, { event: "active", model: "T1" }));
    expect(firstsOf(shard)).toEqual([[`${AT_MINUTE + 240}/1 ["","T1","",""]`, 1]]);
    // The hours that slid out stay where they were counted.
    expect(countsOf(shard).strata["unknown"]!.hours).toMatchObject({ [hours]: 2, [first]: 0 });
  });
});

describe("time to answer", () => {
  const binsOf = (shard: MemoryShard): number[][] =>
    Object.values(countsOf(shard).windows).map(({ answered }) =>
      answered.flatMap((devices, bin) => Array.from({ length: devices }, () => bin)),
    );

  it("is counted once both are known, in the minute of the attempt", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "update_started" });
    expect(binsOf(shard)).toEqual([[]]);
    const receivedAtMs = AT_MS + 6 * MINUTE_MS;
    shard.fold({ event: "confirmed", atMs: receivedAtMs, receivedAtMs });
    expect(binsOf(shard)).toEqual([[5]]);
    // An earlier answer that comes in later takes its place.
    shard.fold({ event: "download_failed", atMs: AT_MS + 2 * MINUTE_MS });
    expect(binsOf(shard)).toEqual([[2]]);
  });

  it("of a device that used the release before it attempted it is none at all", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "active", atMs: AT_MS - HOUR_MS });
    expect(binsOf(shard)).toEqual([[]]);
    shard.fold({ event: "update_started" });
    const binsByMinute = Object.entries(countsOf(shard).windows).map(([name, { answered }]) => [
      name,
      answered[0],
    ]);
    expect(Object.fromEntries(binsByMinute)).toEqual({
      [`${AT_MINUTE - 60}/1 unknown`]: 0,
      [`${AT_MINUTE}/1 unknown`]: 1,
    });
  });
});

describe("times of a release", () => {
  it("first and last are when ingest took the reports in, whatever their order", () => {
    const plan = createMemoryShard().fold(
      { event: "active", device: "b", receivedAtMs: 2_000 },
      { event: "active", device: "a", receivedAtMs: 1_000 },
      { event: "active", device: "c", receivedAtMs: 3_000 },
    );
    expect(plan.releases.get(RELEASE)).toMatchObject({
      firstReportAtMs: 1_000,
      lastReportAtMs: 3_000,
      lastFailureAtMs: 0,
    });
  });

  it("the newest failure is the newest first telling of one", () => {
    const plan = createMemoryShard().fold(
      { event: "reverted", device: "a", receivedAtMs: 1_000 },
      { event: "download_failed", device: "b", receivedAtMs: 2_000 },
      { event: "reverted", device: "a", receivedAtMs: 3_000 },
      { event: "crashed", device: "c", receivedAtMs: 4_000 },
    );
    expect(plan.releases.get(RELEASE)!.lastFailureAtMs).toBe(2_000);
  });
});

it("no reports change nothing", () => {
  const plan = createMemoryShard().fold();
  expect([plan.states.size, plan.releases.size, plan.due.length, plan.refused.length]).toEqual([0, 0, 0, 0]);
});
