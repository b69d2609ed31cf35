// Figures of the benches: a table that is wrong would mislead whoever chooses by it.
import { expect, test } from "vitest";
import {
  histogramOf,
  logLogSlope,
  quantile,
  spreadOf,
  tableOf,
  withSpread,
} from "../../bench/speed/figures.ts";

test("the median is told, and what lies around it", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
  expect(spreadOf([1, 2, 3, 10])).toEqual({ median: 2.5, least: 1, most: 10 });
  expect(withSpread(spreadOf([0.5, 0.25, 0.75]), 2)).toBe("0.50 (0.25 to 0.75)");
});

test("quantiles lie between their neighbours", () => {
  const numbers = Array.from({ length: 101 }, (_, index) => index);
  expect([0, 0.5, 0.99, 1].map((share) => quantile(numbers, share))).toEqual([0, 50, 99, 100]);
  expect(quantile([7], 0.99)).toBe(7);
});

test("the slope tells what grows in proportion from what does not", () => {
  const costs = (cost: (work: number) => number) =>
    [10, 100, 1_000].map((work) => [work, cost(work)] as const);
  expect(logLogSlope(costs((work) => work * 3))).toBeCloseTo(1);
  expect(logLogSlope(costs(() => 5))).toBeCloseTo(0);
  expect(logLogSlope(costs((work) => work ** 2))).toBeCloseTo(2);
});

test("a histogram counts every time once, the edge of a bin in it, and what is later than all of them", () => {
  const lines = histogramOf([50, 100, 101, 70_000]).trimEnd().split("\n");
  expect(lines.map((line) => line.trim().split(/\s{2,}|\s(?=\d+ #)/)[0])).toHaveLength(3);
  expect(lines[0]).toMatch(/<= 100 ms +2 #+$/);
  expect(lines[1]).toMatch(/<= 200 ms +1 #+$/);
  expect(lines[2]).toMatch(/later +1 #+$/);
});

test("a table is Markdown", () => {
  expect(
    tableOf([
      ["a", "b"],
      ["1", "2"],
    ]),
  ).toBe("| a | b |\n| --- | ---: |\n| 1 | 2 |\n");
});
