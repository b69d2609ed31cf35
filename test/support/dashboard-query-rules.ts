// The conventions of a dashboard's queries as rules, each with dashboards that it must catch. Enters: a dashboard's JSON.
// Leaves: what is wrong with its queries, in words. What else a dashboard has to be is in dashboard-rules.ts.
import { existsSync } from "node:fs";
import path from "node:path";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  COUNTERS_THAT_STEP_DOWN,
  NODE_METRICS,
  OWN_WORK_OF_AGENTS,
  PROMETHEUS_METRICS,
  RECORDED,
  SCRAPE_LABELS,
} from "../../dashboards/queries.ts";
import { METRICS } from "../../ingest/contract/metric-names.ts";
import type { MetricDescription } from "../../ingest/contract/metric-names.ts";
import { graphOf, variablesOf } from "./dashboard-rules.ts";
import type { DashboardRule } from "./dashboard-rules.ts";
import { fillIn, queriesOf } from "./grafana-queries.ts";
import type { DashboardQueries, GrafanaQuery } from "./grafana-queries.ts";
import { readPromql } from "./promql-reading.ts";
import type { ReadExpression, ReadSelector } from "./promql-reading.ts";

/** Chosen so that what macros become can be told apart from what somebody wrote. */
const TIMES = { intervalSeconds: 46, rangeSeconds: 3_607 };
const RATE_INTERVAL = "61s";
const RANGE = "3607s";
const RATES = ["rate", "irate", "increase"];
const OVER_COUNTERS = [...RATES, "changes", "resets"];
/** Devices and hours, each counted once and in Redis: the number itself is meant, and does not begin anew with a process. */
const COUNTERS_THAT_STAND: readonly string[] = [
  "ota_active_device_hours_total",
  "ota_crashed_device_hours_total",
  "ota_devices_total",
  ...COUNTERS_THAT_STEP_DOWN,
];
/** How many agents there are is a question to agents, and not to what they agree on. */
const COUNTED_AGENTS = ["ota_redis_up"];

interface AskedQuery extends ReadExpression {
  readonly query: GrafanaQuery;
}

/** Each query, read with its variables filled in. */
function asked(dashboard: Dashboard): AskedQuery[] {
  const values = Object.fromEntries(variablesOf(dashboard).map(({ name }) => [name, { raw: "x" }]));
  return queriesOf(dashboard as DashboardQueries).map((query) => ({
    query,
    ...readPromql(fillIn(query.expr, values, TIMES)),
  }));
}

/** A metric's name without what Prometheus adds for histograms, its labels and its kind; undefined = not ours. */
interface KnownMetric {
  readonly labels: readonly string[];
  readonly type: MetricDescription["type"];
  readonly process: MetricDescription["process"] | "node" | "prometheus";
  readonly name: string;
}

function lookUp(metric: string): KnownMetric | undefined {
  if (Object.hasOwn(NODE_METRICS, metric)) {
    const type = NODE_METRICS[metric as keyof typeof NODE_METRICS];
    return { name: metric, labels: SCRAPE_LABELS, type, process: "node" };
  }
  for (const made of [PROMETHEUS_METRICS, RECORDED])
    if (Object.hasOwn(made, metric)) {
      const labels = (made as Readonly<Record<string, readonly string[]>>)[metric]!;
      return { name: metric, labels, type: "gauge", process: "prometheus" };
    }
  const [, base, suffix] = /^(.*?)(_bucket|_count|_sum)?$/.exec(metric)!;
  const whole = describe(metric);
  if (whole !== undefined && whole.type !== "histogram")
    return { ...whole, name: metric, labels: [...whole.labels, ...SCRAPE_LABELS] };
  const histogram = suffix === undefined ? undefined : describe(base!);
  if (histogram?.type !== "histogram") return undefined;
  const labels = [...histogram.labels, ...SCRAPE_LABELS, ...(suffix === "_bucket" ? ["le"] : [])];
  return { ...histogram, type: "counter", name: base!, labels };
}

function describe(name: string): MetricDescription | undefined {
  return Object.hasOwn(METRICS, name) ? METRICS[name as keyof typeof METRICS] : undefined;
}

function isAgreed({ process, name }: KnownMetric): boolean {
  return process === "agent" && !(OWN_WORK_OF_AGENTS as readonly string[]).includes(name);
}

function faultsOfSelectors(
  dashboard: Dashboard,
  find: (selector: ReadSelector, metric: KnownMetric, query: GrafanaQuery) => string | null,
): string[] {
  return asked(dashboard).flatMap(({ query, selectors }) =>
    selectors.flatMap((selector) => {
      const metric = lookUp(selector.metric);
      const fault = metric === undefined ? null : find(selector, metric, query);
      return fault === null ? [] : [`${query.where}: ${fault}`];
    }),
  );
}

function ask(dashboard: Dashboard, expr: string): void {
  Object.assign(graphOf(dashboard).targets![0]!, { expr });
}

export const DASHBOARD_QUERY_RULES: readonly DashboardRule[] = [
  {
    name: "queries-are-promql",
    reason: "a query that does not parse is an empty panel with a small red corner",
    find: (dashboard) =>
      asked(dashboard).flatMap(({ query, errorAt }) =>
        errorAt === null ? [] : [`${query.where} is no PromQL at ${errorAt}: ${query.expr}`],
      ),
    spoilt: [
      ["a bracket too few", (dashboard) => ask(dashboard, "max(ota_redis_up")],
      [
        "a macro that there is not",
        (dashboard) => ask(dashboard, "rate(ota_ingest_reports_total[__rate_interval])"),
      ],
    ],
  },
  {
    name: "metrics-exist",
    reason: "a panel of a metric that nobody exports is empty for ever, and nobody notices",
    find: (dashboard) =>
      asked(dashboard).flatMap(({ query, selectors }) =>
        selectors
          .filter(({ metric }) => lookUp(metric) === undefined)
          .map(({ metric }) => `${query.where}: nobody exports "${metric}"`),
      ),
    spoilt: [
      ["a misspelt metric", (dashboard) => ask(dashboard, "max(ota_redis_is_up)")],
      ["a gauge's bucket", (dashboard) => ask(dashboard, "max(ota_redis_up_bucket)")],
      ["a histogram without its suffix", (dashboard) => ask(dashboard, "max(ota_rollback_duration_seconds)")],
      ["no metric at all", (dashboard) => ask(dashboard, 'max({job="x"})')],
    ],
  },
  {
    name: "labels-exist",
    reason:
      "a matcher of a label that a metric has not selects nothing, and grouping by it joins what is apart",
    find: (dashboard) => [
      ...faultsOfSelectors(dashboard, ({ metric, labels }, known) => {
        const missing = labels.filter((label) => !known.labels.includes(label));
        return missing.length === 0 ? null : `${metric} has no label ${missing.join(", ")}`;
      }),
      ...asked(dashboard).flatMap(({ query, groupings }) =>
        groupings.flatMap(({ clause, labels, metrics }) => {
          const has = (metric: string, label: string): boolean =>
            lookUp(metric)?.labels.includes(label) ?? false;
          return labels
            .filter((label) =>
              clause === "by"
                ? metrics.some((metric) => !has(metric, label))
                : !metrics.some((metric) => has(metric, label)),
            )
            .map((label) => `${query.where}: ${clause} (${label}) of ${metrics.join(", ")}`);
        }),
      ),
      ...asked(dashboard).flatMap(({ query, selectors }) =>
        query.kind !== "label_values" || lookUp(selectors[0]!.metric)?.labels.includes(query.label) === true
          ? []
          : [`${query.where}: ${selectors[0]!.metric} has no label ${query.label}`],
      ),
    ],
    spoilt: [
      ["a matcher", (dashboard) => ask(dashboard, 'max(ota_running_devices{platform="a"})')],
      ["a grouping", (dashboard) => ask(dashboard, "max by (app, signal) (ota_running_devices)")],
      ["le without buckets", (dashboard) => ask(dashboard, "max by (le) (ota_running_devices)")],
      [
        "a join",
        (dashboard) =>
          ask(
            dashboard,
            "max by (app) (ota_running_devices) * on (platform) max by (app) (ota_silent_devices)",
          ),
      ],
      [
        "the label of a variable",
        (dashboard) =>
          void Object.assign(dashboard.templating.list![1]!, {
            query: { query: "label_values(ota_running_devices, platform)" },
          }),
      ],
    ],
  },
  {
    name: "rates-look-back-far-enough",
    reason:
      "over less than two scrapes a rate is empty, and a fixed range is wrong at every other zoom: $__rate_interval; $__range for one number over all of it",
    find: (dashboard) =>
      faultsOfSelectors(dashboard, ({ metric, functions, range }, _, { kind }) => {
        const rate = functions.find((name) => RATES.includes(name));
        if (rate === undefined || range === RATE_INTERVAL) return null;
        return range === RANGE && kind === "instant" ? null : `${rate}(${metric}[${range}])`;
      }),
    spoilt: [
      ["a fixed range", (dashboard) => ask(dashboard, "sum(rate(ota_ingest_reports_total[5m]))")],
      ["the step", (dashboard) => ask(dashboard, "sum(rate(ota_ingest_reports_total[$__interval]))")],
      [
        "the whole range at each step",
        (dashboard) => ask(dashboard, "sum(increase(ota_ingest_reports_total[$__range]))"),
      ],
    ],
  },
  {
    name: "counters-are-rated",
    reason:
      "a counter as it stands says how long ago a process was started; and a rate of a gauge says nothing",
    find: (dashboard) =>
      faultsOfSelectors(dashboard, ({ metric, functions }, { type, name }, { kind }) => {
        const isRated = functions.some((each) => OVER_COUNTERS.includes(each));
        if (kind === "label_values") return null;
        if (type === "counter" && !isRated && !COUNTERS_THAT_STAND.includes(name))
          return `${metric} as it stands`;
        return type !== "counter" && functions.some((each) => RATES.includes(each))
          ? `a rate of the gauge ${metric}`
          : null;
      }),
    spoilt: [
      ["a counter as it stands", (dashboard) => ask(dashboard, "sum(ota_ingest_reports_total)")],
      [
        "buckets as they stand",
        (dashboard) => ask(dashboard, "max by (le) (ota_rollback_duration_seconds_bucket)"),
      ],
      [
        "a rate of a gauge",
        (dashboard) => ask(dashboard, "max(rate(ota_running_devices[$__rate_interval]))"),
      ],
    ],
  },
  {
    name: "what-steps-down-is-compared",
    reason:
      "a step down looks like a reset, after which increase() counts all again; and as it stands it says nothing of the time that is shown",
    find: (dashboard) =>
      asked(dashboard).flatMap(({ query, selectors }) =>
        selectors
          .filter(({ metric }) => (COUNTERS_THAT_STEP_DOWN as readonly string[]).includes(metric))
          .flatMap(({ metric, functions }, _, all) => {
            const rate = functions.find((each) => OVER_COUNTERS.includes(each));
            if (rate !== undefined) return [`${query.where}: ${rate} of ${metric}`];
            return all.some((each) => each.functions.includes("min_over_time"))
              ? []
              : [`${query.where}: ${metric} as it stands`];
          }),
      ),
    spoilt: [
      ["an increase", (dashboard) => ask(dashboard, "max(increase(ota_rollbacks_total[$__rate_interval]))")],
      ["as it stands", (dashboard) => ask(dashboard, "max(ota_rollbacks_total)")],
    ],
  },
  {
    name: "agents-agree",
    reason:
      "every agent exports the same numbers from Redis: a sum counts each device once per agent, and without any aggregation there is a line per agent",
    find: (dashboard) =>
      faultsOfSelectors(dashboard, ({ metric, aggregation }, known, { kind }) => {
        if (!isAgreed(known) || kind === "label_values" || ["max", "min"].includes(aggregation)) return null;
        if (aggregation === "count" && COUNTED_AGENTS.includes(known.name)) return null;
        return `${aggregation || "nothing"} puts ${metric} together, not max`;
      }),
    spoilt: [
      ["a sum", (dashboard) => ask(dashboard, "sum by (version) (ota_running_devices)")],
      [
        "a sum of rates",
        (dashboard) => ask(dashboard, "sum(rate(ota_folded_reports_total[$__rate_interval]))"),
      ],
      ["no aggregation", (dashboard) => ask(dashboard, "ota_running_devices")],
    ],
  },
  {
    name: "processes-add-up",
    reason:
      "what each process counts of its own work adds up over processes, and max would show the busiest one alone",
    find: (dashboard) =>
      faultsOfSelectors(dashboard, ({ metric, aggregation, functions }, known) => {
        const isOwn = known.process === "ingest" || (known.process === "agent" && !isAgreed(known));
        if (!isOwn || known.type !== "counter" || !functions.some((each) => RATES.includes(each)))
          return null;
        return aggregation === "sum" ? null : `${aggregation || "nothing"} puts ${metric} together, not sum`;
      }),
    spoilt: [
      [
        "max of ingest",
        (dashboard) => ask(dashboard, "max(rate(ota_ingest_reports_total[$__rate_interval]))"),
      ],
      ["no aggregation", (dashboard) => ask(dashboard, "rate(ota_polls_total[$__rate_interval])")],
    ],
  },
  {
    name: "variables-match-as-they-are-chosen",
    reason:
      "where several can be chosen the value is a regular expression, and where one can it is none: 1.4.0+b7 would match nothing",
    find: (dashboard) =>
      queriesOf(dashboard as DashboardQueries).flatMap(({ where, expr }) =>
        Array.from(expr.matchAll(/(=~|!~|!=|=)"[^"]*?\$\{?(\w+)[^"]*"/g)).flatMap(
          ([matcher, operator, name]) => {
            const variable = variablesOf(dashboard).find((each) => each.name === name);
            const isRegex = operator!.includes("~");
            const isSeveral = variable?.multi === true;
            // The alerts' matcher may add "or none" to what is chosen.
            return variable === undefined || isRegex === isSeveral ? [] : [`${where}: ${matcher}`];
          },
        ),
      ),
    spoilt: [
      ["several by =", (dashboard) => ask(dashboard, 'max(ota_running_devices{app="$app"})')],
      [
        "one by =~",
        (dashboard) => {
          dashboard.templating.list![1]!.multi = false;
          ask(dashboard, 'max(ota_running_devices{app=~"$app"})');
        },
      ],
    ],
  },
  {
    name: "runbooks-exist",
    reason: "whoever is sent to a runbook at night must find one",
    find: (dashboard) =>
      Array.from(
        JSON.stringify(dashboard).matchAll(/\$\{runbooks\}\/([\w.-]+)/g),
        ([, page]) => page!,
      ).flatMap((page) =>
        existsSync(path.resolve(import.meta.dirname, "../../docs/runbooks", page))
          ? []
          : [`docs/runbooks/${page} is not there`],
      ),
    spoilt: [["no such page", (dashboard) => void (dashboard.links![0]!.url = "${runbooks}/OtaNothing.md")]],
  },
];
