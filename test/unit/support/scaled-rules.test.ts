// Rules whose time runs faster are the same rules: only durations change, and none that is part of a name.
import { expect, test } from "vitest";
import { parse } from "yaml";
import { scaleExpression, scaleRules } from "../../support/scaled-rules.ts";

test.each([
  ["sum(rate(a_total[30m])) > 0.05", "sum(rate(a_total[30000ms])) > 0.05"],
  ["max_over_time(b[1h30m])", "max_over_time(b[90000ms])"],
  ["max_over_time(b[1d:5m])", "max_over_time(b[1440000ms:5000ms])"],
  ["b offset 5m", "b offset 5000ms"],
  // A window must hold four scrapes.
  ["rate(a_total[1m])", "rate(a_total[4000ms])"],
  // Neither the name of a recorded series nor a number of seconds is a duration.
  ["app:ota_failed:ratio_rate5m > 300", "app:ota_failed:ratio_rate5m > 300"],
])("%s, sixty times as fast", (expr, expected) => {
  expect(scaleExpression(expr, 60)).toBe(expected);
});

test("a rule keeps everything else that it says", () => {
  const rule = {
    alert: "A",
    expr: "x[10m] > 0",
    for: "10m",
    keep_firing_for: "15m",
    labels: { severity: "critical" },
    annotations: { summary: "in 5m" },
  };
  const text = JSON.stringify({ groups: [{ name: "g", interval: "30s", rules: [rule] }] });
  expect(parse(scaleRules(text, 60))).toEqual({
    groups: [
      { name: "g", rules: [{ ...rule, expr: "x[10000ms] > 0", for: "10000ms", keep_firing_for: "15000ms" }] },
    ],
  });
});

test("what is no duration is told, not passed on", () => {
  expect(() => scaleExpression("x[soon]", 60)).toThrow("not a duration: soon");
});
