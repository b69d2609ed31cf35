// Packed hours: what goes in comes out, and how many bytes the habits of devices take.
import * as fc from "fast-check";
import { expect, it, test } from "vitest";
import { HOURS_RETAINED, withHour, NO_HOURS } from "../../../../agent/health/hour-set.ts";
import type { HourSet, HourUse } from "../../../../agent/health/hour-set.ts";
import { ByteReader, ByteWriter } from "../../../../agent/health/packed-bytes.ts";
import { readHours, writeHours } from "../../../../agent/health/packed-hours.ts";

const HEARD_HOUR = 491_628;

function pack(hours: HourSet, heardHour = HEARD_HOUR): Buffer {
  const writer = new ByteWriter();
  writeHours(writer, hours, heardHour);
  return writer.bytes();
}

/** Lengths of runs, by turns of use and none: as devices are used. */
const byRuns = fc
  .array(fc.integer({ min: 1, max: HOURS_RETAINED }), { minLength: 1, maxLength: 40 })
  .map((lengths) => {
    let bits = 0n;
    for (const [index, length] of lengths.entries())
      bits = (bits << BigInt(length)) | (index % 2 === 0 ? (1n << BigInt(length)) - 1n : 0n);
    return BigInt.asUintN(HOURS_RETAINED, bits);
  });
const bits = fc.oneof(
  byRuns,
  fc.bigInt({ min: 0n, max: (1n << BigInt(HOURS_RETAINED)) - 1n }),
  fc.constantFrom(0n, 1n, 1n << 31n, 1n << 32n, (1n << 32n) - 1n, 1n << 169n, (1n << 170n) - 1n),
);

test("what was written is read again, and nothing is left", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1, max: 400 }), bits, bits, bits, (ago, ...each) => {
      const [active, crashed, notResponding] = each;
      const hours = { newest: HEARD_HOUR - ago, active, crashed, notResponding };
      const reader = new ByteReader(Buffer.concat([Buffer.from("xyz"), pack(hours)]).subarray(3));
      expect(readHours(reader, HEARD_HOUR)).toEqual(hours);
      expect(reader.isAtEnd()).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

function used(isUsed: (hoursAgo: number) => boolean, use: HourUse = "active"): HourSet {
  let hours = NO_HOURS;
  for (let ago = 167; ago >= 0; ago -= 1) if (isUsed(ago)) hours = withHour(hours, HEARD_HOUR - ago, use);
  return hours;
}

it.each([
  ["used now for the first time", used((ago) => ago === 0), 3],
  ["in use for a week without a pause", used(() => true), 4],
  ["ten hours a day for a week", used((ago) => ago % 24 < 10), 15],
  ["every second hour for a week", used((ago) => ago % 2 === 0), 23],
  ["never more than three hours on, never more than three off", used((ago) => ago % 6 < 3), 23],
  ["crashed in every hour of a week", used(() => true, "crashed"), 7],
  ["not responding in every hour of a week", used(() => true, "notResponding"), 8],
])("a device %s", (_habit, hours, bytes) => {
  expect(pack(hours).length).toBe(bytes);
});
