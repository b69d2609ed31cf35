// Differences of counts: what a record contributes, and that what is replaced leaves nothing behind.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  ACTIVE_HOURS_INDEX,
  ANSWERS_INDEX,
  CRASHED_HOURS_INDEX,
  FIRST_CRASHED_INDEX,
  FIRST_NOT_RESPONDING_INDEX,
  NOT_RESPONDING_HOURS_INDEX,
  isZero,
} from "../../../../agent/health/count-vector.ts";
import type { CountVector } from "../../../../agent/health/count-vector.ts";
import { NO_RECORD } from "../../../../agent/health/device-state.ts";
import type { ReleaseRecord } from "../../../../agent/health/device-state.ts";
import { HOURS_RETAINED, NO_HOURS, withHour } from "../../../../agent/health/hour-set.ts";
import type { HourSet } from "../../../../agent/health/hour-set.ts";
import { FLAG_BITS, OUTCOMES, flagOf, isAnnounced, isFailure } from "../../../../agent/health/outcomes.ts";
import { addRunning, emptyDelta, replaceRecord } from "../../../../agent/health/release-delta.ts";
import type { ReleaseDelta } from "../../../../agent/health/release-delta.ts";
import { AT_MINUTE } from "./memory-shard.ts";

const HOUR = AT_MINUTE / 60;

const NAMES: ReadonlyMap<number, string> = new Map([
  [ACTIVE_HOURS_INDEX, "active_hours"],
  [CRASHED_HOURS_INDEX, "crashed_hours"],
  [NOT_RESPONDING_HOURS_INDEX, "not_responding_hours"],
  [FIRST_CRASHED_INDEX, "first_crashed"],
  [FIRST_NOT_RESPONDING_INDEX, "first_not_responding"],
]);

/** By outcome, what happened in hours, and `bin<n>`; only what is not 0. */
function shown(counts: CountVector): Record<string, number> {
  const nameOf = (index: number): string =>
    index < ANSWERS_INDEX
      ? (OUTCOMES[index] ?? NAMES.get(index) ?? `index ${index}`)
      : `bin${index - ANSWERS_INDEX}`;
  const rows = counts.map((count, index) => [nameOf(index), count] as const);
  return Object.fromEntries(rows.filter(([, count]) => count !== 0));
}

/** Without vectors that came to nothing. */
function shownDelta({ totals, strata, windows, reasons }: ReleaseDelta) {
  const strataOf = (vectors: ReadonlyMap<number, CountVector>) =>
    Object.fromEntries(
      [...vectors].filter(([, counts]) => !isZero(counts)).map(([number, counts]) => [number, shown(counts)]),
    );
  const slots = [...windows].map(([minute, slot]) => [minute, strataOf(slot)] as const);
  return {
    totals: shown(totals),
    strata: strataOf(strata),
    windows: Object.fromEntries(slots.filter(([, slot]) => Object.keys(slot).length > 0)),
    reasons: Object.fromEntries([...reasons].filter(([, devices]) => devices !== 0)),
  };
}

function deltaOf(
  before: ReleaseRecord | undefined,
  after: ReleaseRecord,
  passedHours: readonly HourSet[] = [],
): ReturnType<typeof shownDelta> {
  const delta = emptyDelta();
  replaceRecord(delta, { before, after, passedHours });
  return shownDelta(delta);
}

const FAILED: ReleaseRecord = {
  ...NO_RECORD,
  flags: flagOf("install_failed"),
  attemptMinute: AT_MINUTE,
  answerMinute: AT_MINUTE + 3,
  failureMinute: AT_MINUTE + 9,
  stratum: 2,
  reasons: [4, 7],
};

describe("a new record", () => {
  it("counts in totals, in its stratum and in the minute of its attempt; what waits, in the minute it came in", () => {
    const failed = { install_failed: 1, attempted: 1, failed: 1 };
    expect(deltaOf(undefined, FAILED)).toEqual({
      totals: { ...failed, failed_unannounced: 1 },
      strata: { 2: { ...failed, failed_unannounced: 1 } },
      windows: {
        [AT_MINUTE]: { 2: { ...failed, bin3: 1 } },
        [AT_MINUTE + 9]: { 2: { failed_unannounced: 1 } },
      },
      reasons: { 4: 1, 7: 1 },
    });
  });

  it("what waits may have come in in the minute of the attempt", () => {
    const { windows } = deltaOf(undefined, { ...FAILED, failureMinute: AT_MINUTE });
    expect(windows).toEqual({
      [AT_MINUTE]: { 2: { install_failed: 1, attempted: 1, failed: 1, failed_unannounced: 1, bin3: 1 } },
    });
  });

  it("without an attempt it stands in no minute, whatever it answered", () => {
    const record = { ...NO_RECORD, flags: flagOf("active"), answerMinute: AT_MINUTE };
    expect(deltaOf(undefined, record)).toMatchObject({ totals: { active: 1 }, windows: {} });
  });

  it("its hours stand in the first minute of each, a crashed one as active as well", () => {
    const hours = withHour(withHour(NO_HOURS, HOUR - 2, "crashed"), HOUR, "active");
    expect(deltaOf(undefined, { ...NO_RECORD, flags: flagOf("active"), hours })).toEqual({
      totals: { active: 1, active_hours: 2, crashed_hours: 1 },
      strata: { 0: { active: 1, active_hours: 2, crashed_hours: 1 } },
      windows: {
        [(HOUR - 2) * 60]: { 0: { active_hours: 1, crashed_hours: 1 } },
        [HOUR * 60]: { 0: { active_hours: 1 } },
      },
      reasons: {},
    });
  });
});

describe("a record that changes", () => {
  it("moves with all that it was when its attempt turns out to be earlier, but not its waiting failure", () => {
    expect(deltaOf(FAILED, { ...FAILED, attemptMinute: AT_MINUTE - 5 })).toEqual({
      totals: {},
      strata: {},
      windows: {
        [AT_MINUTE]: { 2: { install_failed: -1, attempted: -1, failed: -1, bin3: -1 } },
        [AT_MINUTE - 5]: { 2: { install_failed: 1, attempted: 1, failed: 1, bin6: 1 } },
      },
      reasons: {},
    });
  });

  it("moves to another stratum with its hours", () => {
    const before = { ...NO_RECORD, flags: flagOf("active"), hours: withHour(NO_HOURS, HOUR, "crashed") };
    const after = { ...before, stratum: 3, hours: withHour(before.hours, HOUR + 1, "active") };
    expect(deltaOf(before, after)).toMatchObject({
      totals: { active_hours: 1 },
      strata: {
        0: { active: -1, active_hours: -1, crashed_hours: -1 },
        3: { active: 1, active_hours: 2, crashed_hours: 1 },
      },
    });
  });

  it("leaves nothing behind where nothing changed, and gives up a reason for another", () => {
    expect(deltaOf(FAILED, FAILED)).toEqual({ totals: {}, strata: {}, windows: {}, reasons: {} });
    expect(deltaOf(FAILED, { ...FAILED, reasons: [4, 5] }).reasons).toEqual({ 5: 1, 7: -1 });
  });
});

describe("hours that are told apart no more", () => {
  const old = withHour(NO_HOURS, HOUR, "crashed");
  const later = withHour(old, HOUR + HOURS_RETAINED, "active");
  const record = { ...NO_RECORD, flags: flagOf("crashed"), hours: old };

  it("stay counted, and in the stratum that they were counted in", () => {
    expect(deltaOf(record, { ...record, hours: later })).toMatchObject({ totals: { active_hours: 1 } });
    expect(deltaOf(record, { ...record, hours: later, stratum: 3 }).strata).toEqual({
      0: { crashed: -1 },
      3: { crashed: 1, active_hours: 1 },
    });
  });

  it("are counted when they came and went in one batch", () => {
    expect(deltaOf(undefined, { ...record, hours: later }, [old]).totals).toEqual({
      crashed: 1,
      active_hours: 2,
      crashed_hours: 1,
    });
    expect(deltaOf(record, { ...record, hours: later }, [old]).totals).toEqual({ active_hours: 1 });
  });
});

describe("the first crash, and the first time that it did not respond", () => {
  const crashed = { ...NO_RECORD, flags: flagOf("crashed"), firstCrashHour: HOUR, stratum: 2 };

  it("count once, in the first minute of their hour, with and without an attempt", () => {
    const record = { ...crashed, firstNotRespondingHour: HOUR + 2 };
    const firsts = { first_crashed: 1, first_not_responding: 1 };
    expect(deltaOf(undefined, record)).toMatchObject({
      totals: { crashed: 1, ...firsts },
      strata: { 2: { crashed: 1, ...firsts } },
      windows: {
        [HOUR * 60]: { 2: { first_crashed: 1 } },
        [(HOUR + 2) * 60]: { 2: { first_not_responding: 1 } },
      },
    });
    const attempted = deltaOf(undefined, { ...record, attemptMinute: AT_MINUTE });
    expect(attempted.totals).toMatchObject(firsts);
  });

  it("move when an earlier one is told", () => {
    expect(deltaOf(crashed, { ...crashed, firstCrashHour: HOUR - 3 })).toEqual({
      totals: {},
      strata: {},
      windows: { [HOUR * 60]: { 2: { first_crashed: -1 } }, [(HOUR - 3) * 60]: { 2: { first_crashed: 1 } } },
      reasons: {},
    });
  });

  it("move with the stratum, whether their hour is told apart or not", () => {
    expect(deltaOf(crashed, { ...crashed, stratum: 3 })).toEqual({
      totals: {},
      strata: { 2: { crashed: -1, first_crashed: -1 }, 3: { crashed: 1, first_crashed: 1 } },
      windows: { [HOUR * 60]: { 2: { first_crashed: -1 }, 3: { first_crashed: 1 } } },
      reasons: {},
    });
  });

  it("leave no window to be read where nothing of them changed", () => {
    const delta = emptyDelta();
    replaceRecord(delta, { before: crashed, after: { ...crashed, flags: 0 }, passedHours: [] });
    expect(delta.windows.size).toBe(0);
  });
});

const minute = fc.integer({ min: AT_MINUTE, max: AT_MINUTE + 5 });
const firstHour = fc.oneof(fc.constant(0), fc.integer({ min: HOUR - 3, max: HOUR }));
const record: fc.Arbitrary<ReleaseRecord> = fc
  .record({
    flags: fc.integer({ min: 1, max: 2 ** FLAG_BITS - 1 }),
    attemptMinute: fc.oneof(fc.constant(0), minute),
    answerMinute: fc.oneof(fc.constant(0), minute),
    failureMinute: minute,
    stratum: fc.nat(2),
    firstCrashHour: firstHour,
    firstNotRespondingHour: firstHour,
    reasons: fc.uniqueArray(fc.integer({ min: 1, max: 4 })),
  })
  .map((each) => {
    const isWaiting = isFailure(each.flags) && !isAnnounced(each.flags);
    return { ...each, failureMinute: isWaiting ? each.failureMinute : 0, hours: NO_HOURS };
  });
const hour = fc.record({
  hour: fc.integer({ min: HOUR, max: HOUR + 6 }),
  use: fc.constantFrom("active", "crashed", "notResponding"),
});

test("replaced step by step, a record counts as though it had come at once", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(record, hour), { minLength: 1, maxLength: 6 }), (steps) => {
      const stepwise = emptyDelta();
      let before: ReleaseRecord | undefined;
      for (const [next, { hour, use }] of steps) {
        const after: ReleaseRecord = { ...next, hours: withHour(before?.hours ?? NO_HOURS, hour, use) };
        replaceRecord(stepwise, { before, after, passedHours: [] });
        before = after;
      }
      expect(shownDelta(stepwise)).toEqual(deltaOf(undefined, before!));
    }),
  );
});

it("a device that begins or ceases to run a release stands in totals and its stratum, in no window", () => {
  const delta = emptyDelta();
  addRunning(delta, 2, 1);
  expect(shownDelta(delta)).toEqual({
    totals: { running: 1 },
    strata: { 2: { running: 1 } },
    windows: {},
    reasons: {},
  });
  addRunning(delta, 2, -1);
  expect(shownDelta(delta)).toEqual(shownDelta(emptyDelta()));
});
