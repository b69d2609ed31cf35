// What one report makes of a record, and which of two words is the newer one, each limit at its edge.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { REASONS_PER_RECORD_MAX } from "../../../../agent/health/counting-rules.ts";
import {
  applyReport,
  heardIn,
  isSameRecord,
  minuteOf,
  newerHeard,
  newerRunning,
} from "../../../../agent/health/device-record.ts";
import type { NumberedReport } from "../../../../agent/health/device-record.ts";
import { MINUTE_MAX, NO_RECORD, SECOND_MAX } from "../../../../agent/health/device-state.ts";
import type { Heard, ReleaseRecord, Running } from "../../../../agent/health/device-state.ts";
import { NO_HOURS, hoursOf } from "../../../../agent/health/hour-set.ts";
import { flagOf } from "../../../../agent/health/outcomes.ts";
import { EVENTS, REPORT_AGE_MS_MAX, REPORT_AHEAD_MS_MAX } from "../../../../ingest/contract/device-report.ts";
import { AT_MINUTE, AT_MS, RECEIVED_AT_MS, toReport } from "./memory-shard.ts";
import type { Told } from "./memory-shard.ts";

const HOUR_MS = 3_600_000;
const RECEIVED_MINUTE = Math.floor(RECEIVED_AT_MS / 60_000);
const HOUR = AT_MINUTE / 60;

/** As though texts were ordered as their numbers are. */
const byNumber = (left: number, right: number): boolean => left < right;

function numberedOf(told: Told, numbers: Partial<NumberedReport> = {}): NumberedReport {
  const receivedAtMs = told.receivedAtMs ?? RECEIVED_AT_MS;
  return { report: toReport(told), receivedAtMs, release: 1, stratum: 0, reason: 0, ...numbers };
}

function applied(...reports: NumberedReport[]): ReleaseRecord {
  return reports.reduce(
    (record: ReleaseRecord | undefined, each) => applyReport(record, each, byNumber),
    undefined,
  )!;
}

function told(...reports: Told[]): ReleaseRecord {
  return applied(...reports.map((each) => numberedOf(each)));
}

describe("attempt and answer", () => {
  it.each([
    ["update_started", AT_MINUTE, 0],
    ["installed", AT_MINUTE, 0],
    ["download_failed", AT_MINUTE, AT_MINUTE],
    ["install_failed", AT_MINUTE, AT_MINUTE],
    ["confirmed", AT_MINUTE, AT_MINUTE],
    ["reverted", AT_MINUTE, AT_MINUTE],
    ["crashed", 0, AT_MINUTE],
    ["not_responding", 0, AT_MINUTE],
    ["active", 0, AT_MINUTE],
  ] as const)("%s: attempt in minute %d, answer in minute %d", (event, attemptMinute, answerMinute) => {
    expect(told({ event })).toMatchObject({ flags: flagOf(event), attemptMinute, answerMinute });
  });

  it("are the earliest, in whatever order they are told", () => {
    const reports: Told[] = [
      { event: "installed", atMs: AT_MS + 120_000 },
      { event: "update_started", atMs: AT_MS + 60_000 },
      { event: "confirmed", atMs: AT_MS + 240_000 },
      { event: "active", atMs: AT_MS + 180_000 },
    ];
    const expected = { attemptMinute: AT_MINUTE + 1, answerMinute: AT_MINUTE + 3 };
    expect(told(...reports)).toMatchObject(expected);
    expect(told(...reports.toReversed())).toMatchObject(expected);
  });

  it("a minute begins with its first millisecond", () => {
    expect(told({ event: "reverted", atMs: AT_MS - 1 }).attemptMinute).toBe(AT_MINUTE - 1);
    expect(told({ event: "reverted", atMs: AT_MS + 59_999 }).attemptMinute).toBe(AT_MINUTE);
  });

  it("a clamped time is no minute: then it is the one in which the report came in", () => {
    const minutesAt = (atMs: number) => {
      const { attemptMinute, answerMinute } = told({ event: "confirmed", atMs, receivedAtMs: AT_MS });
      return [attemptMinute, answerMinute];
    };
    const oldest = AT_MINUTE - REPORT_AGE_MS_MAX / 60_000;
    const latest = AT_MINUTE + REPORT_AHEAD_MS_MAX / 60_000 - 1;
    expect(minutesAt(AT_MS - REPORT_AGE_MS_MAX)).toEqual([AT_MINUTE, AT_MINUTE]);
    expect(minutesAt(AT_MS - REPORT_AGE_MS_MAX + 1)).toEqual([oldest, oldest]);
    expect(minutesAt(AT_MS + REPORT_AHEAD_MS_MAX)).toEqual([AT_MINUTE, AT_MINUTE]);
    expect(minutesAt(AT_MS + REPORT_AHEAD_MS_MAX - 1)).toEqual([latest, latest]);
  });

  it("a replay so late that its time is clamped leaves the minute of the first time", () => {
    const first: Told = { event: "installed", receivedAtMs: AT_MS };
    const receivedAtMs = AT_MS + 2 * REPORT_AGE_MS_MAX;
    const again: Told = { event: "installed", atMs: receivedAtMs - REPORT_AGE_MS_MAX, receivedAtMs };
    expect(told(first, again).attemptMinute).toBe(AT_MINUTE);
    expect(told(again, first).attemptMinute).toBe(AT_MINUTE);
  });

  it.each([
    [-62_135_596_800_000, 1],
    [0, 1],
    [59_999, 1],
    [119_999, 1],
    [120_000, 2],
    [(MINUTE_MAX + 1) * 60_000 - 1, MINUTE_MAX],
    [(MINUTE_MAX + 1) * 60_000, MINUTE_MAX],
    [8.64e15, MINUTE_MAX],
  ])("a time that no clock should show (%d) is still a minute: %d", (ms, minute) => {
    expect(minuteOf(ms)).toBe(minute);
  });
});

describe("an unannounced failure", () => {
  it("stands in the minute, by our clock, in which the first one came in", () => {
    const late: Told = {
      event: "install_failed",
      atMs: AT_MS - 9_000_000,
      receivedAtMs: RECEIVED_AT_MS + 60_000,
    };
    const early: Told = { event: "download_failed", receivedAtMs: RECEIVED_AT_MS };
    expect(told(late, early).failureMinute).toBe(RECEIVED_MINUTE);
    expect(told(early, late).failureMinute).toBe(RECEIVED_MINUTE);
  });

  it.each(["update_started", "installed"] as const)("is none any more once the device said %s", (event) => {
    expect(told({ event: "reverted" }, { event }).failureMinute).toBe(0);
    expect(told({ event }, { event: "reverted" }).failureMinute).toBe(0);
    expect(told({ event }, { event: "reverted" }, { event: "reverted" }).failureMinute).toBe(0);
  });

  it("a confirmation or use is no failure", () => {
    expect(told({ event: "confirmed" }, { event: "crashed" }).failureMinute).toBe(0);
  });
});

describe("hours", () => {
  it.each(EVENTS)("%s proves use or it does not", (event) => {
    const { newest, active, crashed, notResponding } = told({ event }).hours;
    const isUse = ["confirmed", "active", "crashed", "not_responding"].includes(event);
    expect(hoursOf(newest, active)).toEqual(isUse ? [HOUR] : []);
    expect(hoursOf(newest, crashed)).toEqual(event === "crashed" ? [HOUR] : []);
    expect(hoursOf(newest, notResponding)).toEqual(event === "not_responding" ? [HOUR] : []);
  });

  it("a clamped time tells none, one that is a millisecond inside does", () => {
    const receivedAtMs = AT_MS;
    const hoursAt = (atMs: number) => told({ event: "active", atMs, receivedAtMs }).hours;
    expect(hoursAt(AT_MS - REPORT_AGE_MS_MAX)).toBe(NO_HOURS);
    expect(hoursAt(AT_MS - REPORT_AGE_MS_MAX + 1).newest).toBe(HOUR - 168);
    expect(hoursAt(AT_MS + REPORT_AHEAD_MS_MAX)).toBe(NO_HOURS);
    expect(hoursAt(AT_MS + REPORT_AHEAD_MS_MAX - 1).newest).toBe(HOUR);
  });
});

describe.each([
  ["crashed", "firstCrashHour", "firstNotRespondingHour"],
  ["not_responding", "firstNotRespondingHour", "firstCrashHour"],
] as const)("the first hour in which a device %s", (event, first, other) => {
  const receivedAtMs = AT_MS + 10 * HOUR_MS;
  const at = (hours: number): Told => ({ event, atMs: AT_MS + hours * HOUR_MS, receivedAtMs });

  it("is the earliest, in whatever order they are told", () => {
    const reports = [at(5), at(2), at(9), at(2)];
    for (const order of [reports, reports.toReversed()])
      expect(told(...order)).toMatchObject({ [first]: HOUR + 2, [other]: 0 });
  });

  it("is none while only clamped times are told, and use alone tells none", () => {
    const clamped: Told = { event, atMs: receivedAtMs - REPORT_AGE_MS_MAX, receivedAtMs };
    expect(told(clamped, { event: "active" })).toMatchObject({
      flags: flagOf(event) | flagOf("active"),
      [first]: 0,
    });
    expect(told(clamped, at(3))[first]).toBe(HOUR + 3);
  });

  it("stays when its hour is told apart no more, and when it comes in that late", () => {
    const laterMs = AT_MS + 200 * HOUR_MS;
    const later: Told = { event, atMs: laterMs, receivedAtMs: laterMs };
    expect(told(at(0), later)[first]).toBe(HOUR);
    const late = told(later, at(0));
    expect([late[first], late.hours.newest]).toEqual([HOUR, HOUR + 200]);
  });
});

it("the first hour of 1970 counts as the second: hour 0 stands for none, and would count again and again", () => {
  for (const atMs of [0, 3_599_999, 3_600_000]) {
    const report: Told = { event: "crashed", atMs, receivedAtMs: atMs };
    const once = told(report);
    expect([once.hours.newest, once.hours.active, once.hours.crashed]).toEqual([1, 1n, 1n]);
    expect(isSameRecord(once, applyReport(once, numberedOf(report), byNumber))).toBe(true);
  }
});

describe("reasons", () => {
  const failed = (reason: number) => numberedOf({ event: "reverted" }, { reason });

  it("each is kept once, ordered by its text", () => {
    expect(applied(failed(5), failed(2), failed(5), failed(9)).reasons).toEqual([2, 5, 9]);
  });

  it("of more than eight the first ones stay, in whatever order they come", () => {
    expect(REASONS_PER_RECORD_MAX).toBe(8);
    const numbers = [7, 3, 10, 1, 6, 2, 5, 9, 4, 8];
    expect(applied(...numbers.slice(0, 8).map(failed)).reasons.length).toBe(8);
    expect(applied(...numbers.map(failed)).reasons).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(applied(...numbers.toReversed().map(failed)).reasons).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("a full list is the same list when another reason comes after all of them", () => {
    const full = applied(...[1, 2, 3, 4, 5, 6, 7, 8].map(failed));
    expect(isSameRecord(full, applyReport(full, failed(9), byNumber))).toBe(true);
    expect(isSameRecord(full, applyReport(full, failed(0), byNumber))).toBe(true);
  });
});

it("a report about the same again leaves the same record; any part that differs is seen", () => {
  const numbered = numberedOf({ event: "crashed", atMs: AT_MS }, { stratum: 3, reason: 4 });
  const record = applied(numbered, numberedOf({ event: "reverted" }, { stratum: 3, reason: 5 }));
  expect(isSameRecord(record, applyReport(record, numbered, byNumber))).toBe(true);
  const others: Partial<ReleaseRecord>[] = [
    { flags: record.flags + 1 },
    { attemptMinute: 1 },
    { answerMinute: 1 },
    { failureMinute: 1 },
    { stratum: 4 },
    { hours: NO_HOURS },
    { firstCrashHour: 1 },
    { firstNotRespondingHour: 1 },
    { reasons: [4] },
    { reasons: [4, 6] },
  ];
  for (const other of others) expect(isSameRecord(record, { ...record, ...other })).toBe(false);
  expect(isSameRecord(NO_RECORD, { ...NO_RECORD })).toBe(true);
});

describe("heardIn", () => {
  it("is the second of the device's clock; what leaves a word owing has the minute in which it came in", () => {
    const atMs = AT_MS - 90_001;
    expect(heardIn(numberedOf({ event: "installed", atMs }, { release: 7 }))).toEqual({
      atSecond: AT_MS / 1_000 - 91,
      release: 7,
      isPending: true,
      receivedMinute: RECEIVED_MINUTE,
    });
    expect(heardIn(numberedOf({ event: "confirmed", atMs }))).toMatchObject({
      isPending: false,
      receivedMinute: 0,
    });
  });

  it.each(EVENTS)("%s leaves a word owing or it does not", (event) => {
    const isPending = event === "update_started" || event === "installed";
    expect(heardIn(numberedOf({ event })).isPending).toBe(isPending);
  });

  it("a clamped time is none: then it is when the report came in", () => {
    const secondAt = (atMs: number) =>
      heardIn(numberedOf({ event: "active", atMs, receivedAtMs: AT_MS })).atSecond;
    const second = AT_MS / 1_000;
    expect(secondAt(AT_MS - REPORT_AGE_MS_MAX)).toBe(second);
    expect(secondAt(AT_MS - REPORT_AGE_MS_MAX + 1)).toBe(second - REPORT_AGE_MS_MAX / 1_000);
    expect(secondAt(AT_MS + REPORT_AHEAD_MS_MAX)).toBe(second);
    expect(secondAt(AT_MS + REPORT_AHEAD_MS_MAX - 1)).toBe(second + REPORT_AHEAD_MS_MAX / 1_000 - 1);
  });

  it("stays within what a state can hold", () => {
    const secondAt = (ms: number) =>
      heardIn(numberedOf({ event: "active", atMs: ms, receivedAtMs: ms })).atSecond;
    expect(secondAt(-5)).toBe(1);
    expect(secondAt(1_999)).toBe(1);
    expect(secondAt(SECOND_MAX * 1_000 + 999)).toBe(SECOND_MAX);
    expect(secondAt(SECOND_MAX * 1_000 + 1_000)).toBe(SECOND_MAX);
  });
});

const heard: fc.Arbitrary<Heard> = fc
  .record({
    atSecond: fc.integer({ min: 100, max: 102 }),
    release: fc.integer({ min: 1, max: 3 }),
    isPending: fc.boolean(),
    receivedMinute: fc.integer({ min: 7, max: 9 }),
  })
  .map((each) => ({ ...each, receivedMinute: each.isPending ? each.receivedMinute : 0 }));

describe("which word is newer", () => {
  const word: Heard = { atSecond: 100, release: 2, isPending: true, receivedMinute: 8 };
  const newer = (left: Heard, right: Heard): Heard => newerHeard(left, right, byNumber);

  it.each([
    ["a later second", { ...word, atSecond: 101, release: 1 }],
    ["in the same second one that answers", { ...word, release: 1, isPending: false, receivedMinute: 0 }],
    ["in the same second the release whose text comes last", { ...word, release: 3, receivedMinute: 9 }],
    ["of the same word the one that came in first", { ...word, receivedMinute: 7 }],
  ])("%s", (_what, better: Heard) => {
    expect(newer(word, better)).toBe(better);
    expect(newer(better, word)).toBe(better);
  });

  it("the first is the newest; the same once more changes nothing, not even the object", () => {
    expect(newerHeard(undefined, word, byNumber)).toBe(word);
    expect(newer(word, { ...word })).toBe(word);
  });

  test("does not depend on the order in which words come", () => {
    fc.assert(
      fc.property(fc.array(heard, { minLength: 1 }), (words) => {
        const end = words.reduce(newer);
        expect(words.toReversed().reduce(newer)).toEqual(end);
        expect([...words.slice(1), ...words].reduce(newer)).toEqual(end);
      }),
    );
  });
});

describe("what a device runs", () => {
  const newer = (left: Running | undefined, right: Heard): Running => newerRunning(left, right, byNumber);
  const word: Heard = { atSecond: 100, release: 2, isPending: false, receivedMinute: 0 };

  it("is what the newest proof names; in the same second the release whose text comes last", () => {
    const runs = newer(undefined, word);
    expect(runs).toEqual({ atSecond: 100, release: 2 });
    expect(newer(runs, { ...word, atSecond: 101, release: 1 })).toEqual({ atSecond: 101, release: 1 });
    expect(newer(runs, { ...word, atSecond: 99, release: 3 })).toBe(runs);
    expect(newer(runs, { ...word, release: 3 })).toEqual({ atSecond: 100, release: 3 });
    expect(newer(runs, { ...word, release: 1 })).toBe(runs);
    expect(newer(runs, { ...word })).toBe(runs);
  });

  test("does not depend on the order in which proofs come", () => {
    fc.assert(
      fc.property(fc.array(heard, { minLength: 1 }), (words) => {
        const end = words.reduce(newer, undefined as Running | undefined);
        expect(words.toReversed().reduce(newer, undefined as Running | undefined)).toEqual(end);
      }),
    );
  });
});
