// The packed device state: what goes in comes out, and how many bytes it takes.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  DAY_MAX,
  MINUTE_MAX,
  NO_RECORD,
  RELEASES_PER_DEVICE_MAX,
  SECOND_MAX,
  decodeDeviceState,
  encodeDeviceState,
  heardSecondOf,
  tryDecodeDeviceState,
} from "../../../../agent/health/device-state.ts";
import type { DeviceState, Heard, ReleaseRecord } from "../../../../agent/health/device-state.ts";
import { HOURS_RETAINED, NO_HOURS, oldestOf, withHour } from "../../../../agent/health/hour-set.ts";
import type { HourSet, HourUse } from "../../../../agent/health/hour-set.ts";
import { FLAG_BITS, flagOf } from "../../../../agent/health/outcomes.ts";

const HOUR_SECONDS = 3_600;
const BITS_MAX = (1n << BigInt(HOURS_RETAINED)) - 1n;

const second = fc.oneof(
  fc.integer({ min: 1, max: SECOND_MAX }),
  fc.constantFrom(1, 59, 60, 2 ** 31 - 1, 2 ** 31, SECOND_MAX),
);
const minute = fc.oneof(fc.integer({ min: 1, max: MINUTE_MAX }), fc.constantFrom(1, MINUTE_MAX));
const minuteOrNone = fc.oneof(fc.constant(0), minute);
const number = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.constantFrom(1, 127, 128, 16_383, 16_384, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 51 - 1),
);

const someBits = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: BITS_MAX }));
const CRASHED = flagOf("crashed");
const NOT_RESPONDING = flagOf("not_responding");

/** Never older than what would be forgotten with it. */
function hoursUpTo(heardSecond: number): fc.Arbitrary<HourSet> {
  const heardHour = Math.floor(heardSecond / HOUR_SECONDS);
  const newest = fc
    .oneof(fc.nat(HOURS_RETAINED), fc.constantFrom(-1, HOURS_RETAINED))
    .map((ago) => Math.max(1, heardHour - ago));
  const active = fc.oneof(fc.bigInt({ min: 1n, max: BITS_MAX }), fc.constantFrom(1n, BITS_MAX));
  return fc.oneof(
    fc.constant(NO_HOURS),
    // A crash is use as well; most devices never crashed.
    fc.tuple(newest, active, someBits, someBits).map(([newest, bits, crashed, notResponding]) => {
      // No hour is before the first.
      const active = BigInt.asUintN(Math.min(newest, HOURS_RETAINED), bits) || 1n;
      return { newest, active, crashed: active & crashed, notResponding: active & notResponding };
    }),
  );
}

/** The oldest hour of `bits`, or one before it; where there are none, none, or one that slid out. */
function firstHour({ newest }: HourSet, bits: bigint, heardSecond: number): fc.Arbitrary<number> {
  const oldest = oldestOf(newest, bits);
  if (oldest !== 0) return fc.oneof(fc.constant(oldest), fc.integer({ min: 1, max: oldest }));
  const slidOutMax = Math.floor(heardSecond / HOUR_SECONDS) - HOURS_RETAINED;
  const none = fc.constant(0);
  return slidOutMax < 1 ? none : fc.oneof(none, fc.integer({ min: 1, max: slidOutMax }));
}

function recordUpTo(heardSecond: number): fc.Arbitrary<ReleaseRecord> {
  const record = fc.record({
    flags: fc.integer({ min: 0, max: 2 ** FLAG_BITS - 1 }),
    attemptMinute: minuteOrNone,
    answerMinute: minuteOrNone,
    failureMinute: minuteOrNone,
    stratum: fc.oneof(fc.constant(0), number),
    hours: hoursUpTo(heardSecond),
    reasons: fc.array(number, { maxLength: 8 }),
  });
  return record.chain((rest) => {
    const { flags, hours } = rest;
    const firstOf = (flag: number, bits: bigint): fc.Arbitrary<number> =>
      (flags & flag) === 0 ? fc.constant(0) : firstHour(hours, bits, heardSecond);
    return fc
      .tuple(firstOf(CRASHED, hours.crashed), firstOf(NOT_RESPONDING, hours.notResponding))
      .map(([firstCrashHour, firstNotRespondingHour]) => ({
        ...rest,
        firstCrashHour,
        firstNotRespondingHour,
      }));
  });
}

const heard: fc.Arbitrary<Heard> = fc
  .record({ atSecond: second, release: number, isPending: fc.boolean(), receivedMinute: minute })
  .map((each) => ({ ...each, receivedMinute: each.isPending ? each.receivedMinute : 0 }));
const running = fc.option(fc.record({ atSecond: second, release: number }), { nil: undefined });

/** At most a week after the device was heard of by its own clock; or not known. */
function firstDayUpTo(heardSecond: number): fc.Arbitrary<number | undefined> {
  const latest = Math.min(DAY_MAX, Math.floor(heardSecond / (24 * HOUR_SECONDS)) + 7);
  return fc.oneof(fc.constant(undefined), fc.constantFrom(1, latest), fc.integer({ min: 1, max: latest }));
}

const states: fc.Arbitrary<DeviceState> = heard.chain((heard) =>
  fc.record({
    heard: fc.constant(heard),
    // Pending and running at once is what no device is; it must not be mistaken for another state all the same.
    running: fc.oneof(running, fc.constant({ atSecond: heard.atSecond, release: heard.release })),
    firstDay: firstDayUpTo(heard.atSecond),
    records: fc
      .array(fc.tuple(number, recordUpTo(heard.atSecond)), { maxLength: 40, size: "max" })
      .map((rows) => new Map(rows)),
  }),
);

test("decode(encode(x)) = x", () => {
  fc.assert(
    fc.property(states, (state) => {
      const bytes = encodeDeviceState(state);
      expect(decodeDeviceState(bytes)).toEqual(state);
      // Redis gives back a copy, which may lie anywhere in a larger buffer.
      const copy = Buffer.concat([Buffer.from("xyz"), bytes]).subarray(3);
      expect(decodeDeviceState(copy)).toEqual(state);
      expect(encodeDeviceState(decodeDeviceState(copy))).toEqual(bytes);
      expect(heardSecondOf(copy)).toBe(state.heard!.atSecond);
    }),
    { numRuns: 500 },
  );
});

test("bytes that were damaged are no state, or one that can be stored again; nothing throws or takes long", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constant(0xff), fc.nat(0xff))), { maxLength: 6 });
  fc.assert(
    fc.property(states, damage, fc.nat(), (state, damaged, length) => {
      const whole = Buffer.from(encodeDeviceState(state));
      for (const [at, byte] of damaged) whole[at % whole.length] = byte;
      const read = tryDecodeDeviceState(whole.subarray(0, length % (whole.length + 1)));
      if (read === undefined) return;
      for (const record of read.records.values()) {
        const { attemptMinute, answerMinute, failureMinute, firstCrashHour, firstNotRespondingHour } = record;
        for (const one of [
          attemptMinute,
          answerMinute,
          failureMinute,
          firstCrashHour,
          firstNotRespondingHour,
        ]) {
          expect(one).toBeGreaterThanOrEqual(0);
          expect(one).toBeLessThanOrEqual(MINUTE_MAX);
        }
      }
      expect(read.firstDay ?? 1).toBeGreaterThanOrEqual(1);
      expect(read.firstDay ?? 1).toBeLessThanOrEqual(DAY_MAX);
      expect(tryDecodeDeviceState(Buffer.from(encodeDeviceState(read)))).toBeDefined();
    }),
    { numRuns: 500 },
  );
});

it.each([
  ["no bytes", []],
  ["fewer than a second takes", [1, 2, 3]],
  ["a number that does not end", [1, 2, 3, 4, 0xff]],
  ["a number that nobody can have written", [1, 2, 3, 4, ...Array.from({ length: 200 }, () => 0xff), 1]],
])("%s: no state", (_what, bytes) => {
  expect(tryDecodeDeviceState(Buffer.from(bytes))).toBeUndefined();
});

it("bytes that are too few for a second never get so old that they leave", () => {
  for (const bytes of [[], [1, 2, 3]]) expect(heardSecondOf(Buffer.from(bytes))).toBe(SECOND_MAX);
});

/** Noon of 31 January 2026. */
const HEARD: Heard = { atSecond: 1_769_860_800, release: 3, isPending: false, receivedMinute: 0 };
const HEARD_MINUTE = HEARD.atSecond / 60;
const HEARD_HOUR = HEARD_MINUTE / 60;

function hoursUsed(hours: number, use: HourUse): HourSet {
  const ago = Array.from({ length: hours }, (_, index) => HEARD_HOUR - index);
  return ago.reduce((set, hour) => withHour(set, hour, use), NO_HOURS);
}

function sizeOf(record: Partial<ReleaseRecord>, release = 1): number {
  const records = new Map([[release, { ...NO_RECORD, ...record }]]);
  return encodeDeviceState({ heard: HEARD, running: undefined, records }).length;
}
/** Of a state without records: when it was heard, what was heard, and that it runs nothing known. */
const HEARD_BYTES = 6;

describe("bytes", () => {
  it("a device of which nothing but the last word is known takes 6", () => {
    expect(encodeDeviceState({ heard: HEARD, running: undefined, records: new Map() }).length).toBe(
      HEARD_BYTES,
    );
  });

  it.each([
    [1, 4],
    [127, 4],
    [128, 5],
    [16_383, 5],
    [16_384, 6],
  ])("a record of release number %d without any parts takes %d", (release, bytes) => {
    const flags = (2 ** FLAG_BITS - 1) & ~(CRASHED | NOT_RESPONDING);
    expect(sizeOf({ flags }, release)).toBe(HEARD_BYTES + bytes);
  });

  const HEARD_DAY = HEARD_HOUR / 24 - 0.5;
  it.each([
    [-7, 1],
    [0, 1],
    [24, 1],
    [25, 2],
    [4_088, 2],
    [4_089, 3],
  ])("that a device was first heard of %d days before takes %d more", (days, bytes) => {
    const records = new Map([[1, NO_RECORD]]);
    const running = { atSecond: HEARD.atSecond - 1, release: 2 };
    for (const isPending of [true, false]) {
      const heard = { ...HEARD, isPending, receivedMinute: isPending ? HEARD_MINUTE : 0 };
      const state = { heard, running, records };
      const known = { ...state, firstDay: HEARD_DAY - days };
      expect(encodeDeviceState(known).length).toBe(encodeDeviceState(state).length + bytes);
      expect(decodeDeviceState(encodeDeviceState(known))).toEqual(known);
    }
  });

  it("a state that layout 3 wrote is read, and has no first day", () => {
    // Heard at noon about release 3, which it runs; of release 3 that it was installed and confirmed.
    const bytes = Buffer.from([0xc0, 0xee, 0x7d, 0x69, 14, 3, 0b110]);
    const { heard, running, firstDay, records } = decodeDeviceState(bytes);
    expect(heard).toEqual(HEARD);
    expect(running).toEqual({ atSecond: HEARD.atSecond, release: 3 });
    expect(firstDay).toBeUndefined();
    expect(records.get(3)!.flags).toBe(flagOf("installed") | flagOf("confirmed"));
    expect(encodeDeviceState({ heard, running, firstDay, records })).toEqual(bytes);
  });

  const active = hoursUsed(10, "active");
  const crashed = withHour(active, HEARD_HOUR - 7, "crashed");
  const stalled = withHour(active, HEARD_HOUR - 7, "notResponding");
  it.each<[string, Partial<ReleaseRecord>, number]>([
    ["used in the last ten hours", { hours: active }, 0],
    // A second byte of flags, which of the hours are meant, and that the first of them is the first.
    ["that crashed, too", { hours: crashed, flags: CRASHED, firstCrashHour: HEARD_HOUR - 7 }, 4],
    ["that crashed a month ago", { hours: active, flags: CRASHED, firstCrashHour: HEARD_HOUR - 720 }, 3],
    ["that crashed by a clock that tells no hour", { hours: active, flags: CRASHED }, 2],
    [
      "that did not respond",
      { hours: stalled, flags: NOT_RESPONDING, firstNotRespondingHour: HEARD_HOUR - 7 },
      5,
    ],
  ])("a device %s: %#", (_what, record, more) => {
    expect(sizeOf(record)).toBe(sizeOf({ hours: active }) + more);
  });

  it("a usual device, three releases taken up within a day, takes 22", () => {
    const record = {
      ...NO_RECORD,
      flags: 21,
      attemptMinute: HEARD_MINUTE - 700,
      answerMinute: HEARD_MINUTE - 690,
      stratum: 1,
    };
    const records = new Map([1, 2, 3].map((release) => [release, record]));
    const state = { heard: HEARD, running: { atSecond: HEARD.atSecond, release: 3 }, records };
    expect(encodeDeviceState(state).length).toBe(22);
  });
});

describe("hours", () => {
  const decodedHours = (newest: number): HourSet => {
    const hours = withHour(withHour(NO_HOURS, newest - 5, "crashed"), newest, "active");
    const records = new Map([[1, { ...NO_RECORD, flags: 64, hours }]]);
    const bytes = encodeDeviceState({ heard: HEARD, running: undefined, records });
    return decodeDeviceState(bytes).records.get(1)!.hours;
  };

  it("are kept for as long as a report may still name one of them, and then need no bytes", () => {
    expect(decodedHours(HEARD_HOUR - HOURS_RETAINED).newest).toBe(HEARD_HOUR - HOURS_RETAINED);
    expect(decodedHours(HEARD_HOUR - HOURS_RETAINED - 1)).toEqual(NO_HOURS);
  });

  it("one that is ahead of when the device was heard is kept", () => {
    expect(decodedHours(HEARD_HOUR + 1)).toEqual({
      newest: HEARD_HOUR + 1,
      active: 0b100001n,
      crashed: 0b100000n,
      notResponding: 0n,
    });
  });
});

it("limits: the year 2106, and 128 releases", () => {
  expect(SECOND_MAX).toBe(4_294_967_295);
  expect(MINUTE_MAX).toBe(71_582_788);
  expect(new Date(SECOND_MAX * 1_000).getUTCFullYear()).toBe(2106);
  expect(RELEASES_PER_DEVICE_MAX).toBe(128);
});
