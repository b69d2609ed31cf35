// Count vectors: their stored indexes, sums, and packing.
import * as fc from "fast-check";
import { expect, it, test } from "vitest";
import { ANSWER_BINS } from "../../../../agent/health/answer-bins.ts";
import {
  ACTIVE_HOURS_INDEX,
  ANSWERS_INDEX,
  CRASHED_HOURS_INDEX,
  FIRST_CRASHED_INDEX,
  FIRST_NOT_RESPONDING_INDEX,
  NOT_RESPONDING_HOURS_INDEX,
  addCounts,
  decodeCounts,
  encodeCounts,
  isZero,
  zeroCounts,
} from "../../../../agent/health/count-vector.ts";
import { OUTCOMES } from "../../../../agent/health/outcomes.ts";

const LENGTH = 56;
const COUNT_MAX = 2 ** 52 - 1;

it("keeps the stored indexes, and outcomes have not grown into them", () => {
  const hours = [ACTIVE_HOURS_INDEX, CRASHED_HOURS_INDEX, NOT_RESPONDING_HOURS_INDEX];
  expect(hours).toEqual([24, 25, 26]);
  expect([FIRST_CRASHED_INDEX, FIRST_NOT_RESPONDING_INDEX, ANSWERS_INDEX]).toEqual([27, 28, 32]);
  expect(zeroCounts().length).toBe(ANSWERS_INDEX + ANSWER_BINS);
  expect(OUTCOMES.length).toBeLessThanOrEqual(ACTIVE_HOURS_INDEX);
});

/** Mostly zeros, as stored ones are; differences may be negative. */
const count = fc.oneof(
  { arbitrary: fc.constant(0), weight: 4 },
  { arbitrary: fc.integer({ min: -200, max: 200 }), weight: 2 },
  { arbitrary: fc.constantFrom(COUNT_MAX, -COUNT_MAX, 2 ** 31, -(2 ** 32)), weight: 1 },
);
const vector = fc.array(count, { minLength: LENGTH, maxLength: LENGTH, size: "max" });

test("decode(encode(x)) = x", () => {
  fc.assert(
    fc.property(vector, (counts) => {
      const bytes = encodeCounts(counts);
      expect(decodeCounts(bytes)).toEqual(counts);
      expect(decodeCounts(Buffer.concat([Buffer.from("xyz"), bytes]).subarray(3))).toEqual(counts);
    }),
  );
});

test("what was added can be taken off again", () => {
  const small = fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: LENGTH, maxLength: LENGTH });
  fc.assert(
    fc.property(small, small, (counts, added) => {
      const sum = [...counts];
      addCounts(sum, added);
      expect(sum).toEqual(counts.map((each, index) => each + added[index]!));
      addCounts(
        sum,
        added.map((each) => 0 - each),
      );
      expect(sum).toEqual(counts);
    }),
  );
});

it("adds a shorter one, such as outcomes alone, to the first indexes", () => {
  const counts = zeroCounts();
  addCounts(counts, [1, 0, 2]);
  expect(counts.slice(0, 4)).toEqual([1, 0, 2, 0]);
  expect(counts.length).toBe(LENGTH);
});

it("nothing is no bytes, and no bytes are nothing", () => {
  expect(encodeCounts(zeroCounts()).length).toBe(0);
  for (const bytes of [null, undefined, Buffer.alloc(0)]) expect(decodeCounts(bytes)).toEqual(zeroCounts());
  expect(isZero(zeroCounts())).toBe(true);
  expect(isZero([0, 0, -1])).toBe(false);
  expect(isZero([])).toBe(true);
});

it("each count that is not 0 takes a byte for its place and one or more for its value", () => {
  const counts = zeroCounts();
  counts[0] = 63;
  expect(encodeCounts(counts).length).toBe(2);
  counts[LENGTH - 1] = 64;
  expect(encodeCounts(counts).length).toBe(5);
});

it("counts of a newer version, at indexes not known here, are kept", () => {
  const newer = [...zeroCounts(), 0, 0, 7];
  newer[3] = 1;
  const decoded = decodeCounts(encodeCounts(newer));
  expect(decoded).toEqual(newer);
  expect(encodeCounts(decoded)).toEqual(encodeCounts(newer));
});
