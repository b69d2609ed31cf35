// One registry per process (never prom-client's global one) and the handler that serves it. prom-client
// is imported only here and in each room's own `metrics` file, so that the move to its successor
// (`@prometheus-io/client`, which needs Node 22) stays small.
import type { RequestHandler } from "express";
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { MetricObjectWithValues, MetricValue } from "prom-client";

import { listenerMetrics } from "./listener-metrics.ts";

export { Counter, Gauge, Histogram, Registry };

export function createRegistry(options: {
  readonly process: "ingest" | "agent" | "test";
  readonly version: string;
}): Registry {
  const registry = new Registry();
  if (options.process !== "test") collectDefaultMetrics({ register: registry });
  const info = new Gauge({
    name: "ota_build_info",
    help: "Version of Lastgood and of Node; the value is always 1.",
    labelNames: ["process", "version", "node"],
    aggregator: "first",
    registers: [registry],
  });
  listenerMetrics(registry);
  info.set({ process: options.process, version: options.version, node: process.version }, 1);
  return registry;
}

/** What a registry holds, in a form that can be sent to another process. */
export type MetricsReading = readonly MetricObjectWithValues<MetricValue<string>>[];

export async function readMetrics(registry: Registry): Promise<MetricsReading> {
  return await registry.getMetricsAsJSON();
}

/** One exposition of several processes: each metric says by its `aggregator` how (a sum, unless it says otherwise). */
export function mergeReadings(readings: readonly MetricsReading[]): Registry {
  return AggregatorRegistry.aggregate([...readings]);
}

const OPEN_METRICS = "application/openmetrics-text";

/** `GET /metrics`: Prometheus text, or OpenMetrics 1.0 where the scraper asks for it. */
export function metricsHandler(registry: Pick<Registry, "metrics">): RequestHandler {
  return async (request, response) => {
    const text = await registry.metrics();
    if (request.get("accept")?.includes(OPEN_METRICS) === true) {
      response.set("Content-Type", `${OPEN_METRICS}; version=1.0.0; charset=utf-8`).send(toOpenMetrics(text));
      return;
    }
    response.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8").send(text);
  };
}

/**
 * The same exposition in OpenMetrics: a counter's family loses `_total` in its HELP and TYPE lines, and the
 * text ends with `# EOF` (OpenMetrics 1.0, section 3). Written here because prom-client renames counters on
 * the metric objects themselves, which breaks serving both formats from one registry.
 */
export function toOpenMetrics(text: string): string {
  const counters = new Set(Array.from(text.matchAll(/^# TYPE (\S+) counter$/gm), (match) => match[1]!));
  const lines = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const header = /^# (HELP|TYPE) (\S+)(.*)$/.exec(line);
      if (header === null || !counters.has(header[2]!)) return line;
      return `# ${header[1]} ${header[2]!.replace(/_total$/, "")}${header[3]}`;
    });
  return [...lines, "# EOF", ""].join("\n");
}
