// Hours of use of one device and version: what is told apart, and from when on it is not.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  HOURS_RETAINED,
  NO_HOURS,
  hasForgotten,
  hoursOf,
  oldestOf,
  withHour,
} from "../../../../agent/health/hour-set.ts";
import type { HourSet, HourUse } from "../../../../agent/health/hour-set.ts";

const HOUR = 491_628;

function activeHours({ newest, active }: HourSet): number[] {
  return hoursOf(newest, active);
}

function crashedHours({ newest, crashed }: HourSet): number[] {
  return hoursOf(newest, crashed);
}

function notRespondingHours({ newest, notResponding }: HourSet): number[] {
  return hoursOf(newest, notResponding);
}

function hoursUsed(...hours: number[]): HourSet {
  return hours.reduce((set, hour) => withHour(set, hour, "active"), NO_HOURS);
}

describe("an hour", () => {
  it("is kept once; what changes nothing leaves the same object", () => {
    const used = hoursUsed(HOUR);
    expect(activeHours(used)).toEqual([HOUR]);
    expect(crashedHours(used)).toEqual([]);
    expect(withHour(used, HOUR, "active")).toBe(used);
    expect(hasForgotten(used, used)).toBe(false);
  });

  it("with a crash is one of use as well, whichever was told first", () => {
    const crashed = withHour(NO_HOURS, HOUR, "crashed");
    expect(crashed).toEqual(withHour(hoursUsed(HOUR), HOUR, "crashed"));
    expect([activeHours(crashed), crashedHours(crashed)]).toEqual([[HOUR], [HOUR]]);
    expect(withHour(crashed, HOUR, "active")).toBe(crashed);
    expect(withHour(crashed, HOUR, "crashed")).toBe(crashed);
  });

  it("in which the device did not respond is one of use as well, and says nothing of crashes", () => {
    const stalled = withHour(hoursUsed(HOUR), HOUR, "notResponding");
    expect(stalled).toEqual(withHour(NO_HOURS, HOUR, "notResponding"));
    expect([activeHours(stalled), crashedHours(stalled), notRespondingHours(stalled)]).toEqual([
      [HOUR],
      [],
      [HOUR],
    ]);
    expect(withHour(stalled, HOUR, "notResponding")).toBe(stalled);
    expect(crashedHours(withHour(stalled, HOUR, "crashed"))).toEqual([HOUR]);
  });

  it("that is the oldest of some can be asked for", () => {
    const { newest, active, crashed } = withHour(hoursUsed(HOUR, HOUR - 169), HOUR - 33, "crashed");
    expect([oldestOf(newest, active), oldestOf(newest, crashed), oldestOf(newest, 1n)]).toEqual([
      HOUR - 169,
      HOUR - 33,
      HOUR,
    ]);
    expect([oldestOf(newest, 0n), oldestOf(0, 0n)]).toEqual([0, 0]);
  });

  it("that is older goes behind the newest, a newer one before it", () => {
    expect(activeHours(hoursUsed(HOUR, HOUR - 2, HOUR + 3))).toEqual([HOUR + 3, HOUR, HOUR - 2]);
  });
});

describe("HOURS_RETAINED", () => {
  const oldest = HOUR - HOURS_RETAINED + 1;

  it("is a week and two hours", () => {
    expect(HOURS_RETAINED).toBe(170);
  });

  it("an hour that is too old to be told apart is not taken in", () => {
    const set = hoursUsed(HOUR);
    expect(activeHours(withHour(set, oldest, "active"))).toEqual([HOUR, oldest]);
    expect(withHour(set, oldest - 1, "crashed")).toBe(set);
  });

  it("hours that become too old are forgotten, and that can be seen", () => {
    const set = withHour(withHour(hoursUsed(oldest), oldest, "crashed"), oldest, "notResponding");
    const kept = withHour(set, HOUR, "active");
    expect([activeHours(kept), crashedHours(kept)]).toEqual([[HOUR, oldest], [oldest]]);
    expect(notRespondingHours(kept)).toEqual([oldest]);
    expect(hasForgotten(set, kept)).toBe(false);
    const forgotten = withHour(set, HOUR + 1, "active");
    expect([activeHours(forgotten), crashedHours(forgotten)]).toEqual([[HOUR + 1], []]);
    expect(notRespondingHours(forgotten)).toEqual([]);
    expect(hasForgotten(set, forgotten)).toBe(true);
    expect(hasForgotten(kept, withHour(kept, HOUR + 1, "active"))).toBe(true);
  });

  it("years later nothing is left of what was before", () => {
    const later = withHour(hoursUsed(HOUR, HOUR - 5), HOUR + 100_000, "active");
    expect(activeHours(later)).toEqual([HOUR + 100_000]);
    expect(hasForgotten(hoursUsed(HOUR), later)).toBe(true);
    expect(hasForgotten(NO_HOURS, later)).toBe(false);
  });
});

interface Use {
  readonly hour: number;
  readonly use: HourUse;
}
const use: fc.Arbitrary<Use> = fc.record({
  hour: fc.integer({ min: HOUR, max: HOUR + HOURS_RETAINED - 1 }),
  use: fc.constantFrom("active", "crashed", "notResponding"),
});

function newestFirst(hours: readonly number[]): number[] {
  return [...new Set(hours)].toSorted((left, right) => right - left);
}

test("within what is told apart it is a set: order and repetition change nothing", () => {
  fc.assert(
    fc.property(fc.array(use), fc.infiniteStream(fc.nat()), (uses, picks) => {
      const set = uses.reduce((known, { hour, use }) => withHour(known, hour, use), NO_HOURS);
      expect(activeHours(set)).toEqual(newestFirst(uses.map(({ hour }) => hour)));
      const hoursWith = (what: HourUse): number[] =>
        newestFirst(uses.filter(({ use }) => use === what).map(({ hour }) => hour));
      expect(crashedHours(set)).toEqual(hoursWith("crashed"));
      expect(notRespondingHours(set)).toEqual(hoursWith("notResponding"));
      expect(oldestOf(set.newest, set.crashed)).toBe(hoursWith("crashed").at(-1) ?? 0);
      const again = uses.map(() => uses[picks.next().value! % uses.length]!);
      const mixed = [...uses.toReversed(), ...again];
      expect(mixed.reduce((known, { hour, use }) => withHour(known, hour, use), NO_HOURS)).toEqual(set);
    }),
  );
});
