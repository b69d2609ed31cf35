// The helper that asks what Grafana would ask: which queries a dashboard has, and how variables and macros are filled in.
import { describe, expect, test } from "vitest";
import { fillIn, queriesOf } from "../../support/grafana-queries.ts";

const TIMES = { intervalSeconds: 30, rangeSeconds: 3600 };

describe("queriesOf", () => {
  const dashboard = {
    panels: [
      {
        title: "One",
        targets: [
          { refId: "A", expr: "a", instant: true },
          { refId: "B", expr: "b", range: true },
        ],
      },
      { title: "Row", panels: [{ title: "Two", targets: [{ refId: "A", expr: "c" }] }] },
      { title: "Both", targets: [{ refId: "A", expr: "d", instant: true, range: true }] },
      { title: "Text" },
    ],
    templating: {
      list: [
        { type: "datasource", name: "datasource", query: "prometheus" },
        { type: "query", name: "app", query: { query: 'label_values(up{job="x"}, app)', refId: "app" } },
        { type: "query", name: "channel", query: "label_values(up, channel)" },
      ],
    },
    annotations: {
      list: [
        { name: "Alerts", expr: "ALERTS" },
        { name: "New", target: { expr: "e" } },
        { name: "Built in" },
      ],
    },
  };

  test("finds them in variables, annotations, panels and folded rows", () => {
    expect(queriesOf(dashboard)).toEqual([
      { where: "variable app", expr: 'up{job="x"}', kind: "label_values", label: "app" },
      { where: "variable channel", expr: "up", kind: "label_values", label: "channel" },
      { where: "annotation Alerts", expr: "ALERTS", kind: "range" },
      { where: "annotation New", expr: "e", kind: "range" },
      { where: "panel One, A", expr: "a", kind: "instant" },
      { where: "panel One, B", expr: "b", kind: "range" },
      { where: "panel Two, A", expr: "c", kind: "range" },
      { where: "panel Both, A", expr: "d", kind: "instant" },
      { where: "panel Both, A", expr: "d", kind: "range" },
    ]);
  });

  test("does not take another kind of variable query for none", () => {
    const list = [{ type: "query", name: "x", query: "query_result(up)" }];
    expect(() => queriesOf({ templating: { list } })).toThrow("Variable x");
  });
});

describe("fillIn", () => {
  test.each([
    ["a text for one choice", 'up{a="$a"}', { a: "1.0+b" }, 'up{a="1.0+b"}'],
    ["a quote in it", 'up{a="$a"}', { a: "it's" }, String.raw`up{a="it\\'s"}`],
    ["a list of one", 'up{a=~"$a"}', { a: ["1.0"] }, String.raw`up{a=~"1\\.0"}`],
    ["a list", 'up{a=~"$a"}', { a: ["1.0+b", "c|d"] }, String.raw`up{a=~"(1\\.0\\+b|c\\|d)"}`],
    ["a backslash in a list", 'up{a=~"$a"}', { a: ["\\"] }, String.raw`up{a=~"\\\\"}`],
    ["what All stands for", 'up{a=~"$a"}', { a: { raw: ".*" } }, 'up{a=~".*"}'],
    ["braces", 'up{a="x${a}y"}', { a: "1" }, 'up{a="x1y"}'],
    ["the format regex", 'up{a=~"${a:regex}"}', { a: ["1.0", "b"] }, String.raw`up{a=~"(1\.0|b)"}`],
    ["the format pipe", 'up{a=~"${a:pipe}"}', { a: ["1.0", "b"] }, 'up{a=~"1.0|b"}'],
    ["the format csv", "${a:csv}", { a: ["1", "b"] }, "1,b"],
    ["the format raw", "${a:raw}", { a: "1.0" }, "1.0"],
  ])("fills in %s", (_, expr, variables, filled) => {
    expect(fillIn(expr, variables, TIMES)).toBe(filled);
  });

  test.each([
    ["$__rate_interval", TIMES, "60s"],
    ["$__rate_interval", { ...TIMES, intervalSeconds: 120 }, "135s"],
    ["$__rate_interval", { ...TIMES, intervalSeconds: 1, scrapeIntervalSeconds: 1 }, "4s"],
    ["$__interval", TIMES, "30s"],
    ["${__interval}", TIMES, "30s"],
    ["$__interval_ms", TIMES, "30000"],
    ["$__range", TIMES, "3600s"],
    ["$__range_s", TIMES, "3600"],
    ["$__range_ms", TIMES, "3600000"],
  ])("makes of %s with %j %s", (macro, times, filled) => {
    expect(fillIn(`rate(a[${macro}])`, {}, times)).toBe(`rate(a[${filled}])`);
  });

  test("a name of a variable ends where Grafana ends it", () => {
    expect(fillIn("$a $ab", { a: "1", ab: "2" }, TIMES)).toBe("1 2");
  });

  test("nothing is left as it is without a word", () => {
    expect(() => fillIn("up{a=~'$b'}", { a: "1" }, TIMES)).toThrow("$b");
    expect(() => fillIn("$toString", {}, TIMES)).toThrow("$toString");
    expect(() => fillIn("${a:glob}", { a: "1" }, TIMES)).toThrow("glob");
  });
});
