// Names that expressions are written with, so that a renamed metric fails to compile here rather than going quiet in
// Prometheus. Enters: the table of metrics. Leaves: `metric.ota_…` for templates of PromQL. Pure.
import { METRICS } from "../ingest/contract/metric-names.ts";
import type { MetricName } from "../ingest/contract/metric-names.ts";

/** `${metric.ota_devices_total}{outcome="failed"}`: its labels are held to the table by a test. */
export const metric = Object.fromEntries(Object.keys(METRICS).map((name) => [name, name])) as {
  readonly [N in MetricName]: N;
};

/** The jobs of prometheus.yml. */
export const AGENT_UP = 'up{job="lastgood-agent"}';
export const INGEST_UP = 'up{job="lastgood-ingest"}';

/** Every process says by itself when it started, in seconds since 1970. */
export const PROCESS_START = "process_start_time_seconds";

/** PromQL as it is written in a file: without the indentation of the TypeScript around it. */
export function promql(text: string): string {
  const lines = text.replace(/^\n/, "").trimEnd().split("\n");
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/));
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent).trimEnd()).join("\n");
}
