// PromQL for the dashboards, made of names from the one table of metrics: a renamed metric, or a label that it does not
// have, fails to compile here. Enters: names, labels, matchers. Leaves: expressions as text.
//
// Three kinds of metric, three ways of putting processes together. What agents read from Redis (`agreed…`): every agent
// says the same, so `max`; a sum would count it once per agent. What a process counts of its own work (`summed…`): `sum`.
// What Node itself measures (`ofProcesses`): one series per process, told apart by `process` and `instance`.
import { METRICS } from "../ingest/contract/metric-names.ts";
import type { LabelOf, MetricName, MetricNameOf } from "../ingest/contract/metric-names.ts";

/** prom-client's own metrics, as far as dashboards show them. Prometheus exports some of the same names about itself. */
export const NODE_METRICS = {
  nodejs_eventloop_lag_p99_seconds: "gauge",
  nodejs_heap_size_used_bytes: "gauge",
  process_cpu_seconds_total: "counter",
  process_open_fds: "gauge",
  process_resident_memory_bytes: "gauge",
} as const;
export type NodeMetricName = keyof typeof NODE_METRICS;

/** What Prometheus makes itself, with the labels that dashboards may use of it. */
export const PROMETHEUS_METRICS = {
  ALERTS: ["alertname", "alertstate", "severity", "service", "app", "channel", "version"],
} as const;

/** What alerting/ records, with its labels; a test holds these to the committed rules. */
export const RECORDED = {
  "slo:sli_error:ratio_rate1h": ["slo"],
  "slo:sli_error:ratio_rate3d": ["slo"],
} as const;

/** Labels that Prometheus gives every series it scrapes. */
export const SCRAPE_LABELS = ["instance", "job"] as const;

/** What an agent counts of its own work: it is not in Redis, and each agent says something else. */
export const OWN_WORK_OF_AGENTS = [
  "ota_config_reload_success",
  "ota_config_reload_timestamp_seconds",
  "ota_evaluation_duration_seconds",
  "ota_folds_lost_total",
  "ota_page_posts_total",
  "ota_poll_complete_timestamp_seconds",
  "ota_poll_reports_total",
  "ota_polls_total",
] as const satisfies readonly MetricNameOf<"agent">[];

/**
 * Made from the decisions that Redis keeps: they step down when an old one is dropped, which `rate` and `increase` would take
 * for a reset, and count all the others again.
 */
export const COUNTERS_THAT_STEP_DOWN = [
  "ota_rollbacks_total",
] as const satisfies readonly MetricNameOf<"agent">[];

type SteppingDown = (typeof COUNTERS_THAT_STEP_DOWN)[number];
type OwnWork = (typeof OWN_WORK_OF_AGENTS)[number] | MetricNameOf<"ingest" | "both">;
/** Read from Redis with each scrape, so that agents agree. */
type Agreed = Exclude<MetricNameOf<"agent">, OwnWork>;
type OfType<N extends MetricName, T extends "counter" | "gauge" | "histogram"> = {
  [M in N]: (typeof METRICS)[M]["type"] extends T ? M : never;
}[N];

/** A matcher with its operator: `="failing"`, `=~"$app"`. */
export type Matcher = `${"=" | "!=" | "=~" | "!~"}"${string}"`;
/** Several matchers of one label all have to hold. */
export type Where<N extends MetricName> = { readonly [L in LabelOf<N>]?: Matcher | readonly Matcher[] };

export interface Selection<N extends MetricName> {
  readonly where?: Where<N>;
  /** Labels that stay; none = one number. */
  readonly by?: readonly LabelOf<N>[];
}

/** What `rate` looks back over: never shorter than four scrapes, whatever the zoom. */
const RATE_RANGE = "[$__rate_interval]";
/** The whole of the dashboard: for one number, asked for once. */
const DASHBOARD_RANGE = "[$__range]";

export function select<N extends MetricName>(name: N, where: Where<N> = {}): string {
  return withMatchers(name, where);
}

function withMatchers(
  name: string,
  where: Readonly<Record<string, Matcher | readonly Matcher[] | undefined>>,
): string {
  const matchers = Object.entries(where).flatMap(([label, matcher = []]) =>
    [matcher].flat().map((each) => `${label}${each}`),
  );
  return matchers.length === 0 ? name : `${name}{${matchers.join(",")}}`;
}

function aggregate(
  operator: "max" | "min" | "sum" | "count",
  by: readonly string[] = [],
  expr: string,
): string {
  return by.length === 0 ? `${operator}(${expr})` : `${operator} by (${by.join(", ")}) (${expr})`;
}

export function agreed<N extends OfType<Agreed, "gauge">>(name: N, { by, where }: Selection<N> = {}): string {
  return aggregate("max", by, select(name, where));
}

/**
 * Devices or hours in a counter, as they stand: these are counted in Redis and do not begin anew with a process, so that
 * the number itself means something ("420 devices confirmed").
 */
export function agreedTotal<N extends OfType<Agreed, "counter">>(
  name: N,
  { by, where }: Selection<N> = {},
): string {
  return aggregate("max", by, select(name, where));
}

export function agreedRate<N extends Exclude<OfType<Agreed, "counter">, SteppingDown>>(
  name: N,
  { by, where }: Selection<N> = {},
): string {
  return aggregate("max", by, `rate(${select(name, where)}${RATE_RANGE})`);
}

export function agreedIncrease<N extends Exclude<OfType<Agreed, "counter">, SteppingDown>>(
  name: N,
  { by, where, over }: Selection<N> & { readonly over: "interval" | "dashboard" },
): string {
  const range = over === "interval" ? RATE_RANGE : DASHBOARD_RANGE;
  return aggregate("max", by, `increase(${select(name, where)}${range})`);
}

/** How far it is above its lowest of the dashboard's range; over all agents, since a new one begins at what Redis has. */
export function agreedRise<N extends SteppingDown>(name: N, { by, where }: Selection<N> = {}): string {
  const now = aggregate("max", by, select(name, where));
  return `${now} - ${aggregate("min", by, `min_over_time(${select(name, where)}${DASHBOARD_RANGE})`)}`;
}

export function summedRate<N extends OfType<OwnWork, "counter">>(
  name: N,
  { by, where }: Selection<N> = {},
): string {
  return aggregate("sum", by, `rate(${select(name, where)}${RATE_RANGE})`);
}

/** Of gauges of ingest, and of an agent's own: how they add up, or the largest of them. */
export function across<N extends OfType<OwnWork, "gauge">>(
  operator: "sum" | "max" | "count",
  name: N,
  { by, where }: Selection<N> = {},
): string {
  return aggregate(operator, by, select(name, where));
}

/** Buckets of rollbacks, which are counted in Redis, over the dashboard's range. */
export function agreedBuckets(name: OfType<Agreed, "histogram">): string {
  return aggregate("max", ["le"], `increase(${name}_bucket${DASHBOARD_RANGE})`);
}

/** A quantile; no sample where nothing was observed (`>= 0` drops the NaN). */
export function quantileOf(ratio: number, buckets: string): string {
  return `histogram_quantile(${ratio}, ${buckets}) >= 0`;
}

export function summedBuckets<N extends OfType<OwnWork, "histogram">>(
  name: N,
  { by = [], where = {} }: Selection<N> = {},
): string {
  return aggregate("sum", ["le", ...by], `rate(${withMatchers(`${name}_bucket`, where)}${RATE_RANGE})`);
}

export function summedCountRate<N extends OfType<OwnWork, "histogram">>(
  name: N,
  { by, where = {} }: Selection<N> = {},
): string {
  return aggregate("sum", by, `rate(${withMatchers(`${name}_count`, where)}${RATE_RANGE})`);
}

/**
 * Node's own metrics of Lastgood's processes: the product with `ota_build_info` (always 1) adds the label `process`, and
 * leaves out Prometheus, which exports metrics of the same names about itself.
 */
export function ofProcesses(name: NodeMetricName): string {
  const value = NODE_METRICS[name] === "counter" ? `rate(${name}${RATE_RANGE})` : name;
  return `${value} * on (instance, job) group_left (process) ${select("ota_build_info")}`;
}

export function recorded(name: keyof typeof RECORDED, where: { readonly slo: Matcher }): string {
  return withMatchers(name, where);
}

/** Alerts of ours that want a person: not the dead man's switch, and not what only calms others. */
export const FIRING = withMatchers("ALERTS", {
  service: '="lastgood"',
  alertstate: '="firing"',
  severity: '=~"critical|warning"',
});

/** Seconds since a time that is stored as one. */
export function secondsSince(timestamp: string): string {
  return `time() - ${timestamp}`;
}

/** 0 while agents can read Redis, and nothing otherwise: what nobody could read must not look like "none". */
export const NONE_WHILE_READABLE = `(${agreed("ota_redis_up")} == 1) - 1`;

/** Of rollbacks that a guard holds back those that somebody should know of: a channel that moved on wants nothing. */
export const HELD_BACK = orNone(
  `sum(${agreed("ota_rollbacks_held", { by: ["reason"], where: { reason: '!="channel_moved_on"' } })})`,
);

/** A number of things that has no series while there are none of them. */
export function orNone(expr: string): string {
  return `${expr} or ${NONE_WHILE_READABLE}`;
}

/** Decisions that wait for the OTA server's answer, or for a person's yes. */
export const WAITING = `${agreed("ota_rollbacks_pending")} + ${agreed("ota_approvals_waiting")}`;
