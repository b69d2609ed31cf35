// The reader of PromQL that the conventions of dashboards stand on.
import { describe, expect, test } from "vitest";
import { readPromql } from "../../support/promql-reading.ts";

test("a selector knows its labels, its range, and what stands around it", () => {
  const { errorAt, selectors } = readPromql(
    'histogram_quantile(0.5, sum by (le) (rate(a_bucket{b="1",c=~"2"}[5m]))) >= 0',
  );
  expect(errorAt).toBe(null);
  expect(selectors).toEqual([
    {
      metric: "a_bucket",
      labels: ["b", "c"],
      functions: ["rate", "histogram_quantile"],
      range: "5m",
      aggregation: "sum",
    },
  ]);
});

test("of several aggregations the innermost counts", () => {
  const { selectors } = readPromql("sum(max by (x) (a)) + b");
  expect(selectors.map(({ metric, aggregation }) => [metric, aggregation])).toEqual([
    ["a", "max"],
    ["b", ""],
  ]);
});

describe("groupings", () => {
  test.each([
    ["max by (x, y) (a / b)", [{ clause: "by", labels: ["x", "y"], metrics: ["a", "b"] }]],
    [
      "sum by (x) (max by (x, y) (a))",
      [
        { clause: "by", labels: ["x"], metrics: [] },
        { clause: "by", labels: ["x", "y"], metrics: ["a"] },
      ],
    ],
    [
      "a * on (x) group_left (y) b",
      [
        { clause: "on", labels: ["x"], metrics: ["a", "b"] },
        { clause: "group", labels: ["y"], metrics: ["a", "b"] },
      ],
    ],
  ])("of %s", (text, groupings) => {
    expect(readPromql(text).groupings).toEqual(groupings);
  });
});

test.each([
  ["sum(a", 5],
  ["rate(a[$__rate_interval])", 7],
])("says where %s stops being PromQL", (text, at) => {
  expect(readPromql(text).errorAt).toBe(at);
});
