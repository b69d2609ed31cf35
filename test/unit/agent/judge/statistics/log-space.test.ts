// The log of a mean, where the plain formula would overflow, underflow or lose everything.
import { expect, it } from "vitest";
import { logMeanExp } from "../../../../../agent/judge/statistics/log-space.ts";

it("agrees with the plain formula where that works", () => {
  expect(logMeanExp([Math.log(1), Math.log(2), Math.log(6)])).toBeCloseTo(Math.log(3), 14);
  expect(logMeanExp([0.5])).toBe(0.5);
});

it("neither overflows nor underflows", () => {
  expect(logMeanExp([1e6, 1e6])).toBe(1e6);
  expect(logMeanExp([-1e6, -1e6])).toBe(-1e6);
  expect(logMeanExp([-1e6, 0])).toBeCloseTo(-Math.LN2, 14);
});

it("takes the log of zero for what it is", () => {
  expect(logMeanExp([Number.NEGATIVE_INFINITY, 0])).toBeCloseTo(-Math.LN2, 14);
  expect(logMeanExp([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])).toBe(Number.NEGATIVE_INFINITY);
});
