// Asks a real Prometheus what Grafana would ask for a dashboard. Enters: the dashboard's JSON and what is chosen in its
// variables. Leaves: the queries that Prometheus has nothing for, each with where it stands, for a test to insist on none.
import { fillIn, queriesOf } from "./grafana-queries.ts";
import type { DashboardQueries, GrafanaQuery, VariableValue } from "./grafana-queries.ts";
import type { TestPrometheus } from "./prometheus.ts";

export interface Asked {
  readonly prometheus: TestPrometheus;
  readonly dashboard: DashboardQueries;
  readonly variables: Readonly<Record<string, VariableValue>>;
  /** From now back, as the dashboard's range. */
  readonly rangeSeconds: number;
  readonly scrapeIntervalSeconds: number;
}

/** Points across a panel. */
const STEPS = 60;

export async function emptyQueries(asked: Asked): Promise<string[]> {
  const empty: string[] = [];
  for (const query of queriesOf(asked.dashboard))
    if ((await samplesOf(query, asked)) === 0) empty.push(`${query.where}: ${query.expr}`);
  return empty;
}

/** How many series or values the answer has. Throws where Prometheus can't take the query. */
async function samplesOf(query: GrafanaQuery, asked: Asked): Promise<number> {
  const { prometheus, variables, rangeSeconds, scrapeIntervalSeconds } = asked;
  const intervalSeconds = Math.max(Math.ceil(rangeSeconds / STEPS), scrapeIntervalSeconds);
  const expr = fillIn(query.expr, variables, { intervalSeconds, rangeSeconds, scrapeIntervalSeconds });
  switch (query.kind) {
    case "instant":
      return (await prometheus.query(expr)).length;
    case "range": {
      const endSeconds = Date.now() / 1_000;
      const range = { startSeconds: endSeconds - rangeSeconds, endSeconds, stepSeconds: intervalSeconds };
      return (await prometheus.queryRange(expr, range)).length;
    }
    case "label_values":
      return (await prometheus.labelValues(query.label, expr)).length;
  }
}
