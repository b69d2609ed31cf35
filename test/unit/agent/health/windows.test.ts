// Rolling windows up: no sum changes, at whatever hours and however often, and each edge of their ages.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { addCounts, zeroCounts } from "../../../../agent/health/count-vector.ts";
import type { CountVector } from "../../../../agent/health/count-vector.ts";
import { horizonsAt, slotOf } from "../../../../agent/health/health-window.ts";
import {
  addToSlot,
  decodeStrata,
  formatSlot,
  parseSlot,
  planRollUp,
  rollUp as moveCounts,
} from "../../../../agent/health/windows.ts";

/** All that is to be done at once. */
function rollUp(slots: ReadonlyMap<string, Buffer>, nowMinute: number) {
  const { moving, isFine } = planRollUp([...slots.keys()], nowMinute);
  return { removed: moving.map(({ field }) => field), written: moveCounts(slots, moving), isFine };
}

const DAY = 24 * 60;
/** A whole number of hours after the epoch. */
const NOW = 25_000_020;

/** Counts by `<length>:<first minute>:<stratum>`. */
type Windows = ReadonlyMap<string, CountVector>;

interface WindowKey {
  readonly slotMinute: number;
  readonly slotMinutes: number;
  readonly stratum: number;
}

function formatWindow({ stratum, ...slot }: WindowKey): string {
  return `${formatSlot(slot)}:${stratum}`;
}

function parseWindow(key: string): WindowKey {
  return { ...parseSlot(key), stratum: Number(key.split(":")[2]) };
}

/** As they are stored. */
function toSlots(windows: Windows): Map<string, Buffer> {
  const slots = new Map<string, Buffer>();
  for (const [key, counts] of windows) {
    const { stratum, ...slot } = parseWindow(key);
    const field = formatSlot(slot);
    slots.set(field, addToSlot(slots.get(field), new Map([[stratum, counts]])));
  }
  return slots;
}

function toWindows(slots: ReadonlyMap<string, Buffer>): Windows {
  const strataOf = ([field, bytes]: [string, Buffer]): [string, CountVector][] =>
    [...decodeStrata(bytes)].map(([stratum, counts]) => [`${field}:${stratum}`, counts]);
  return new Map([...slots].flatMap(strataOf));
}

/** As a commit does it. */
function rolledSlots(slots: ReadonlyMap<string, Buffer>, nowMinute: number): Map<string, Buffer> {
  const { removed, written } = rollUp(slots, nowMinute);
  const now = new Map(slots);
  for (const field of removed) now.delete(field);
  for (const [field, bytes] of written) {
    if (bytes.length === 0) now.delete(field);
    else now.set(field, bytes);
  }
  return now;
}

function rolled(windows: Windows, nowMinute: number): Windows {
  return toWindows(rolledSlots(toSlots(windows), nowMinute));
}

function vector(count: number): CountVector {
  const counts = zeroCounts();
  counts[0] = count;
  counts[40] = -count;
  return counts;
}

function windowsOf(...rows: [field: string, count: number][]): Windows {
  return new Map(rows.map(([field, count]) => [field, vector(count)]));
}

/** First counts by field. */
function shown(windows: Windows): Record<string, number> {
  return Object.fromEntries([...windows].map(([field, counts]) => [field, counts[0]!]));
}

it("a field tells a slot's length and its first minute", () => {
  const slot = { slotMinute: NOW, slotMinutes: 5 };
  expect(formatSlot(slot)).toBe(`5:${NOW}`);
  expect(parseSlot(`5:${NOW}`)).toEqual(slot);
});

describe("a slot", () => {
  const strata = new Map([
    [0, vector(1)],
    [7, vector(2)],
    [300, vector(4)],
  ]);

  it("holds the counts of all its strata; nothing stored holds none", () => {
    expect(decodeStrata(addToSlot(undefined, strata))).toEqual(strata);
    expect(decodeStrata(addToSlot(undefined, new Map()))).toEqual(new Map());
  });

  it("takes counts up in one stratum, and leaves the others as they are", () => {
    const more = addToSlot(addToSlot(undefined, strata), new Map([[7, vector(8)]]));
    expect(decodeStrata(more)).toEqual(new Map([...strata, [7, vector(10)]]));
  });

  it("forgets a stratum that has come to nothing, and is empty when all have", () => {
    const stored = addToSlot(undefined, strata);
    const minus = new Map([...strata].map(([stratum, counts]) => [stratum, counts.map((count) => -count)]));
    const one = addToSlot(stored, new Map([[300, minus.get(300)!]]));
    expect([...decodeStrata(one).keys()]).toEqual([0, 7]);
    expect(addToSlot(stored, minus).length).toBe(0);
  });

  it("counts of a few devices of one stratum take a few bytes", () => {
    expect(addToSlot(undefined, new Map([[7, vector(1)]])).length).toBe(6);
  });
});

describe("at the edges", () => {
  const fieldAt = (minute: number, slotMinutes: number): string =>
    formatWindow({ slotMinute: minute, slotMinutes, stratum: 0 });

  it.each([
    ["a minute of exactly 2 hours ago stays", NOW - 120, 1, fieldAt(NOW - 120, 1)],
    ["the minute before goes into five", NOW - 121, 1, fieldAt(NOW - 125, 5)],
    ["five minutes of exactly 48 hours ago stay", NOW - 2_880, 5, fieldAt(NOW - 2_880, 5)],
    ["the five before go into an hour", NOW - 2_885, 5, fieldAt(NOW - 2_940, 60)],
    ["so does a minute that was not rolled up in time", NOW - 2_881, 1, fieldAt(NOW - 2_940, 60)],
    ["an hour of exactly 90 days ago stays", NOW - 90 * DAY, 60, fieldAt(NOW - 90 * DAY, 60)],
    ["the hour before is dropped", NOW - 90 * DAY - 60, 60, undefined],
    ["so is a minute of that age", NOW - 90 * DAY - 1, 1, undefined],
    ["what is ahead of now stays", NOW + 5, 1, fieldAt(NOW + 5, 1)],
  ])("%s", (_what, minute, slotMinutes, expected) => {
    const windows = windowsOf([fieldAt(minute, slotMinutes), 3]);
    for (const nowMinute of [NOW, NOW + 59])
      expect(shown(rolled(windows, nowMinute))).toEqual(expected === undefined ? {} : { [expected]: 3 });
  });

  it("at the next full hour they all move on by an hour", () => {
    const windows = windowsOf(
      [fieldAt(NOW - 120, 1), 1],
      [fieldAt(NOW - 2_880, 5), 2],
      [fieldAt(NOW - 90 * DAY, 60), 4],
    );
    expect(shown(rolled(windows, NOW + 60))).toEqual({
      [fieldAt(NOW - 120, 5)]: 1,
      [fieldAt(NOW - 2_880, 60)]: 2,
    });
  });
});

describe("sums", () => {
  it("what is there already is added to, and each stratum keeps its own", () => {
    const minute = NOW - 240;
    const windows = windowsOf(
      [`1:${minute}:0`, 1],
      [`1:${minute + 4}:0`, 2],
      [`5:${minute}:0`, 4],
      [`1:${minute + 1}:9`, 8],
      [`1:${minute + 5}:0`, 16],
    );
    expect(shown(rolled(windows, NOW))).toEqual({
      [`5:${minute}:0`]: 7,
      [`5:${minute}:9`]: 8,
      [`5:${minute + 5}:0`]: 16,
    });
    expect(shown(windows)[`5:${minute}:0`]).toBe(4);
  });

  it("minutes and fives go into the same hour", () => {
    const hour = NOW - 5 * DAY;
    const windows = windowsOf([`5:${hour + 55}:0`, 1], [`60:${hour}:0`, 2], [`1:${hour + 59}:0`, 4]);
    expect(shown(rolled(windows, NOW))).toEqual({ [`60:${hour}:0`]: 7 });
  });

  it("what cancels out is written as nothing, so that what is stored can leave", () => {
    const hour = NOW - 5 * DAY;
    const slots = toSlots(windowsOf([`1:${hour}:0`, 1], [`60:${hour}:0`, -1]));
    const { removed, written } = rollUp(slots, NOW);
    expect(removed).toEqual([`1:${hour}`]);
    expect([...written].map(([field, bytes]) => [field, bytes.length])).toEqual([[`60:${hour}`, 0]]);
  });

  it("windows of a newer version are longer: nothing of them is lost, whichever is added to which", () => {
    const hour = NOW - 5 * DAY;
    const longer = [...vector(1), 5];
    const both = [
      new Map([
        [`1:${hour}:0`, longer],
        [`60:${hour}:0`, vector(2)],
      ]),
      new Map([
        [`1:${hour}:0`, vector(2)],
        [`60:${hour}:0`, longer],
      ]),
    ];
    for (const windows of both)
      expect(rolled(windows, NOW)).toEqual(new Map([[`60:${hour}:0`, [...vector(3), 5]]]));
  });
});

describe("whether there will be more to do", () => {
  it.each([
    ["nothing at all", [], false],
    ["a minute", [`1:${NOW}:0`], true],
    ["a minute that becomes five", [`1:${NOW - 200}:0`], true],
    ["five minutes", [`5:${NOW - 200}:0`, `60:${NOW - 5 * DAY}:0`], true],
    ["five minutes that become an hour", [`5:${NOW - 5 * DAY}:0`], false],
    ["hours", [`60:${NOW - 5 * DAY}:0`, `60:${NOW - 9 * DAY}:0`], false],
    ["what is dropped", [`1:${NOW - 100 * DAY}:0`], false],
  ])("%s", (_what, fields, isFine) => {
    const slots = toSlots(windowsOf(...fields.map((field): [string, number] => [field, 1])));
    expect(rollUp(slots, NOW).isFine).toBe(isFine);
  });

  it("an hour alone need not be touched before it is dropped", () => {
    const { removed, written } = rollUp(toSlots(windowsOf([`60:${NOW - 5 * DAY}:0`, 1])), NOW);
    expect([removed.length, written.size]).toEqual([0, 0]);
  });
});

interface Told {
  readonly minute: number;
  readonly stratum: number;
  readonly counts: CountVector;
}
const counts = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 56, maxLength: 56 });
/** Minutes of the last four hours, three days and hundred days, and a few ahead. */
const told: fc.Arbitrary<Told> = fc.record({
  minute: fc
    .oneof(fc.integer({ min: -5, max: 240 }), fc.nat(3 * DAY), fc.nat(100 * DAY))
    .map((ago) => NOW - ago),
  stratum: fc.nat(2),
  counts,
});
/** Minutes to the next roll-up: on, a minute off, and anywhere around the hours at which slots change. */
const wait = fc.oneof(
  fc.constantFrom(0, 1, 59, 60, 61, 120, 2_880),
  fc.nat(100),
  fc.nat(4 * DAY),
  fc.nat(95 * DAY),
);

/** Added to the slots that are kept now, as folding does it; what is older than all slots is dropped. */
function added(windows: Windows, reports: readonly Told[], rolledMinute: number): Windows {
  const now = new Map(windows);
  for (const { minute, stratum, counts } of reports) {
    const slot = slotOf(minute, horizonsAt(rolledMinute));
    if (slot === undefined) continue;
    const field = formatWindow({ ...slot, stratum });
    const sum = [...(now.get(field) ?? zeroCounts())];
    addCounts(sum, counts);
    now.set(field, sum);
  }
  return now;
}

/** Sums by stratum and hour from the first minute on that is kept. */
function sumsOf(windows: Windows, fromMinute: number): Record<string, CountVector> {
  const sums = new Map<string, CountVector>();
  for (const [field, counts] of windows) {
    const { slotMinute, stratum } = parseWindow(field);
    if (slotMinute < fromMinute) continue;
    const key = `${slotMinute - (slotMinute % 60)} ${stratum}`;
    const sum = sums.get(key) ?? zeroCounts();
    addCounts(sum, counts);
    sums.set(key, sum);
  }
  return Object.fromEntries(sums);
}

describe("for any windows", () => {
  test("rolling up at any hours, again and again, changes no sum, and leaves each in the slot of its age", () => {
    fc.assert(
      fc.property(
        fc.array(told, { maxLength: 40 }),
        fc.array(wait, { minLength: 1, maxLength: 6 }),
        (reports, waits) => {
          const start = added(new Map(), reports, 0);
          let windows = start;
          let nowMinute = NOW;
          for (const minutes of waits) {
            nowMinute += minutes;
            windows = rolled(windows, nowMinute);
            const horizons = horizonsAt(nowMinute);
            expect(sumsOf(windows, 0)).toEqual(sumsOf(start, horizons.drop));
            for (const field of windows.keys()) {
              const { slotMinute, slotMinutes } = parseWindow(field);
              expect(slotOf(slotMinute, horizons)).toEqual({ slotMinute, slotMinutes });
            }
            const again = rollUp(toSlots(windows), nowMinute);
            expect([again.removed.length, again.written.size]).toEqual([0, 0]);
          }
          // However often it was done on the way, once at the end is the same.
          expect(windows).toEqual(rolled(start, nowMinute));
        },
      ),
    );
  });

  test("what comes in between goes into the slots that are there, and is not lost either", () => {
    const step = fc.record({ reports: fc.array(told, { maxLength: 10 }), wait });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
        let windows: Windows = new Map();
        let expected: Windows = new Map();
        let nowMinute = NOW;
        let rolledMinute = 0;
        for (const { reports, wait } of steps) {
          const { drop } = horizonsAt(rolledMinute);
          windows = added(windows, reports, rolledMinute);
          const kept = reports.filter(({ minute }) => minute >= drop);
          expected = added(expected, kept, 0);
          nowMinute += wait;
          rolledMinute = nowMinute;
          windows = rolled(windows, nowMinute);
          expect(sumsOf(windows, 0)).toEqual(sumsOf(expected, horizonsAt(nowMinute).drop));
        }
      }),
    );
  });

  test("a clock that goes back makes nothing finer and loses nothing", () => {
    fc.assert(
      fc.property(fc.array(told, { maxLength: 20 }), fc.nat(3 * DAY), (reports, back) => {
        const windows = rolled(added(new Map(), reports, 0), NOW);
        expect(rolled(windows, NOW - back)).toEqual(windows);
      }),
    );
  });
});
