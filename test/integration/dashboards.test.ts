// Every query of every dashboard, filled in as Grafana does it and asked of a real Prometheus, which has no data: each must
// be an expression that it takes, at one time and over a range. That they return data is for test/e2e/grafana-stack.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dashboards } from "../../dashboards/generated-files.ts";
import { fillIn, queriesOf } from "../support/grafana-queries.ts";
import type { DashboardQueries, VariableValue } from "../support/grafana-queries.ts";
import { startPrometheus } from "../support/prometheus.ts";
import type { TestPrometheus } from "../support/prometheus.ts";

const TIMES = { intervalSeconds: 30, rangeSeconds: 3600 };
/** A name and versions that have to be escaped, or quoted, right. */
const CHOICES: readonly Readonly<Record<string, VariableValue>>[] = [
  {
    app: "com.example.till",
    channel: "stable",
    version: "1.4.0+b7",
    baseline: { raw: ".*" },
    signal: "crash",
  },
  {
    app: ["com.example.till", "a|b"],
    channel: { raw: ".*" },
    version: ["1.4.0+b7"],
    baseline: ["1.3.0", "other"],
    signal: "crash",
  },
];

let prometheus: TestPrometheus;
beforeAll(async () => {
  prometheus = await startPrometheus({ config: "global: { scrape_interval: 15s }\n" });
});
afterAll(() => prometheus.stop());

async function ask(query: ReturnType<typeof queriesOf>[number], expr: string): Promise<unknown> {
  if (query.kind === "label_values") return prometheus.labelValues(query.label, expr);
  if (query.kind === "instant") return prometheus.query(expr);
  const endSeconds = Math.floor(Date.now() / 1_000);
  return prometheus.queryRange(expr, { startSeconds: endSeconds - 3_600, endSeconds, stepSeconds: 30 });
}

describe.each(Object.entries(dashboards()))("%s", (_, dashboard) => {
  const queries = queriesOf(dashboard as DashboardQueries);

  test("asks something", () => {
    expect(queries.length).toBeGreaterThan(20);
  });

  test("Prometheus takes every query, whatever is chosen", async () => {
    const refused: string[] = [];
    for (const choice of CHOICES)
      for (const query of queries) {
        const expr = fillIn(query.expr, choice, TIMES);
        await ask(query, expr).catch((error: unknown) => refused.push(`${query.where}: ${String(error)}`));
      }
    expect(refused).toEqual([]);
  });
});

test("a query that is wrong is refused", async () => {
  await expect(prometheus.query("max by (app (up)")).rejects.toThrow("parse error");
});
